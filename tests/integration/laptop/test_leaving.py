"""What `emailflow dev` leaves behind: no flow that nobody is in, and no process."""

import asyncio
import os
from pathlib import Path
from typing import Any

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, JetStreamError, connect
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket

from .conftest import FLOW, Dev, until

NAMES = Names("default", "default")
STEPS = "steps: ["
WAITING = FLOW.replace(STEPS, f"{STEPS}{{name: rest, wait: {{for: P1D}}}}, ")
OTHER = FLOW.replace("hello", "other")


async def _ask(dev: Dev, question: Any) -> Any:
    connection = await connect(Credentials(f"nats://127.0.0.1:{dev.ports['nats']}"), "test")
    try:
        return await question(connection)
    finally:
        await connection.close()


async def _plans(connection: Connection) -> Any:
    return await PlanBucket(connection, NAMES.bucket("PLANS")).read()


async def _has_consumer(connection: Connection) -> bool:
    try:
        await connection.api("CONSUMER.INFO.default_default_EVENTS.default_hello")
    except JetStreamError:
        return False
    return True


def test_a_flow_that_nobody_is_in_goes_whole(dev: Dev) -> None:
    (dev.folder / "flow.yaml").write_text(OTHER)

    def gone() -> bool:
        return set(asyncio.run(_ask(dev, _plans)).flows) == {"default/other"}

    assert until(gone)
    assert len(asyncio.run(_ask(dev, _plans)).programs) == 1
    assert until(lambda: not asyncio.run(_ask(dev, _has_consumer)))
    assert dev.post("com.example.signed_up", {"email": "ana@example.com", "name": "Ana"}, "1") == 202
    assert until(dev.subjects) == ["Hello Ana"]


def test_a_flow_that_somebody_is_in_stays_until_they_are_through(dev: Dev) -> None:
    (dev.folder / "flow.yaml").write_text(WAITING)

    def waits() -> bool:
        name = f"u{os.urandom(4).hex()}"
        assert dev.post("com.example.signed_up", {"email": f"{name}@example.com", "name": name}, name) == 202
        plans = asyncio.run(_ask(dev, _plans))
        return any(len(program.steps) == 2 for program in plans.programs.values())

    assert until(waits)
    (dev.folder / "flow.yaml").write_text(OTHER)

    def deleted() -> bool:
        flow = asyncio.run(_ask(dev, _plans)).flows.get("default/hello")
        return flow is not None and flow.deleted

    assert until(deleted)
    assert asyncio.run(_ask(dev, _has_consumer))


def test_a_killed_dev_leaves_no_nats_server(dev: Dev) -> None:
    server = dev.nats_server_pid()

    dev.kill_alone()

    assert until(lambda: not Path(f"/proc/{server}").exists() or _is_zombie(server))


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
