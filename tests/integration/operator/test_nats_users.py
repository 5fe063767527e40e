"""The NATS of an installation: keys made by the operator, users who can do their part and nothing else."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from emailflow_api.jetstream.naming import Names, Role
from emailflow_operator.adapters.nats_connection import NatsConnection, Server, connect
from emailflow_operator.errors import NatsUnreachable
from emailflow_runtime.adapters.nats_server import find_binary

from .conftest import FLOW, TEMPLATE, until

NATS_CONF = """
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 4GB }}
include ./auth.conf
"""
RUNTIME = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {name: default}
spec: {replicas: 0, defaults: {providerRef: {name: smtp}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: smtp}
spec: {type: Smtp, smtp: {host: 127.0.0.1, port: 2525, tls: None}, from: {address: shop@example.com}}
"""


@pytest.fixture
async def start_nats(tmp_path: Path, free_port: int) -> AsyncIterator[Callable[[str], Any]]:
    """Starts a nats-server with an auth.conf, as the chart's StatefulSet does."""
    running: list[asyncio.subprocess.Process] = []

    async def start(auth: str) -> None:
        (tmp_path / "auth.conf").write_text(auth)
        (tmp_path / "nats.conf").write_text(NATS_CONF.format(port=free_port, store=tmp_path / "js"))
        command = [find_binary(), "-c", str(tmp_path / "nats.conf"), "-l", str(tmp_path / "nats.log")]
        running.append(await asyncio.create_subprocess_exec(*command))

    yield start
    for each in running:
        each.terminate()
        await each.wait()


async def secret(space: Any, namespace: str, name: str) -> dict[str, str] | None:
    found = await space.api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    return found and {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


async def refused(connection: NatsConnection, subject: str) -> bool:
    """Whether nobody answers: nats-server drops what a user may not publish."""
    try:
        async with asyncio.timeout(0.5):
            await connection.request(subject, b"")
    except (TimeoutError, NatsUnreachable):
        return True
    return False


async def test_an_installation_makes_its_own_keys_and_users(
    space: Any, start_operator: Any, start_nats: Any, free_port: int, tmp_path: Path
) -> None:
    url = f"nats://127.0.0.1:{free_port}"
    operator = await start_operator("--watch-namespace", space.name, "--nats-url", url)
    home = operator.home
    auth = await until(lambda: secret(space, home, "emailflow-nats-auth"))
    space.apply(RUNTIME + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailruntimes", "default", ("Unknown", "NatsUnreachable"))

    await start_nats(auth["auth.conf"])
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))

    users = await secret(space, space.name, "emailflow-nats")
    assert users is not None
    assert set(users) == {"default.runtime.creds", "default.producer.creds"}
    names = Names(space.name, "default")
    producer = await connect(
        Server(url, users["default.producer.creds"], inbox_prefix=names.inbox(Role.PRODUCER))
    )
    try:
        answer = await producer.request(names.inbound_subject("com.example.signed_up"), b"{}")
        assert b'"stream"' in answer.data
        assert await refused(producer, f"$JS.API.STREAM.INFO.{names.events}")
        assert await refused(producer, names.event_subject(0, "com.example.signed_up"))
    finally:
        await producer.close()

    seeds = [value for key, value in auth.items() if key != "auth.conf"] + list(users.values())
    said = operator.log.read_text() + space.kubectl("get", "er,ef,cm", "-A", "-o=yaml")
    assert not any(part in said for seed in seeds for part in seed.split() if len(part) > 50)


async def test_a_restart_keeps_keys_and_users(space: Any, start_operator: Any, free_port: int) -> None:
    options = ("--watch-namespace", space.name, "--nats-url", f"nats://127.0.0.1:{free_port}")
    first = await start_operator(*options)
    space.apply(RUNTIME)
    users = await until(lambda: secret(space, space.name, "emailflow-nats"))
    auth = await secret(space, first.home, "emailflow-nats-auth")
    await first.stop()
    await start_operator(*options)
    space.kubectl("annotate", "er", "default", "touched=yes", f"--namespace={space.name}")

    async def leads() -> bool:
        lease = await space.api.get(
            f"/apis/coordination.k8s.io/v1/namespaces/{first.home}/leases/emailflow-operator"
        )
        return bool(lease["spec"]["holderIdentity"] == "operator-1")

    assert await until(leads)
    await space.becomes("emailruntimes", "default", ("Unknown", "NatsUnreachable"))
    assert await secret(space, space.name, "emailflow-nats") == users
    assert await secret(space, first.home, "emailflow-nats-auth") == auth
