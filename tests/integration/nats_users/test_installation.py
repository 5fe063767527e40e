"""What the operator does to the installation's NATS while it runs: new certificates, buckets of before."""

import asyncio
import ssl
from typing import Any

import pytest

from emailflow_api.jetstream.naming import Role
from emailflow_api.jetstream.topology import streams
from emailflow_api.plans import RuntimePlan
from emailflow_operator.adapters.data_plane import DataPlane
from emailflow_operator.adapters.nats_connection import NatsConnection

from .conftest import NAMES, WITHIN, Installation

LEASES = f"KV_{NAMES.bucket('LEASES')}"


async def shown(installation: Installation, authority: str) -> bool:
    """Whether the server shows a certificate of this authority."""
    trusting = ssl.create_default_context(cadata=authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", installation.port)
    try:
        await reader.readline()
        await writer.start_tls(trusting)
    except ssl.SSLCertVerificationError:
        return False
    finally:
        writer.close()
    return True


@pytest.mark.parametrize("installation", ["tls"], indirect=True)
async def test_servers_show_a_new_certificate_without_a_restart(installation: Any) -> None:
    before = installation.accounts.authority
    installation.renew_certificate()
    after, installation.accounts.authority = installation.accounts.authority, before
    assert not await shown(installation, after)

    await installation.accounts.reload()

    async with asyncio.timeout(WITHIN):
        while not await shown(installation, after):  # noqa: ASYNC110 - the server tells nobody when it is done
            await asyncio.sleep(0.1)


async def test_a_bucket_of_leases_that_was_in_memory_is_made_anew(installation: Any, operator: Any) -> None:
    connection: NatsConnection = await installation.servers.connection(
        await installation.accounts.server(NAMES)
    )
    wanted = streams(RuntimePlan(namespace=NAMES.namespace, name=NAMES.name), events_bytes=128 << 20)
    [leases] = [each for each in wanted if each["name"] == LEASES]
    await operator.api(f"STREAM.DELETE.{LEASES}")
    # The runtime's account keeps nothing in memory: another file will do for what can't be changed.
    await operator.api(f"STREAM.CREATE.{LEASES}", {**leases, "persist_mode": "default", "allow_atomic": True})

    await DataPlane(connection, NAMES).ensure_streams(wanted)

    made = (await operator.api(f"STREAM.INFO.{LEASES}"))["config"]
    assert (made["storage"], made["persist_mode"]) == ("file", "async")
    runtime = await installation.connect(Role.RUNTIME)
    assert b"error" not in (await runtime.request(f"$KV.{NAMES.bucket('LEASES')}.shard.0", b"a")).data
    await runtime.close()


async def test_one_kept_by_three_servers_is_written_like_any_other() -> None:
    plan = RuntimePlan(namespace=NAMES.namespace, name=NAMES.name)
    [leases] = [each for each in streams(plan, replicas=3) if each["name"] == LEASES]
    assert "persist_mode" not in leases
