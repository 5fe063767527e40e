"""A whole flow with everybody under their own rights only: producer, operator, runtime."""

import asyncio
from typing import Any

import pytest
from tests.integration.pod.conftest import (
    KIND,
    NAMES,
    Operator,
    PodProcess,
    mailbox,
    plans,
    subjects,
    until,
)

from emailflow_api.jetstream.naming import Role
from emailflow_api.pod_settings import PodSettings
from emailflow_runtime.adapters.jetstream.connection import connect
from emailflow_runtime.adapters.system_clock import SystemClock

from .conftest import WITHIN

__all__ = ["mailbox", "plans"]

HEADERS = {"ce-specversion": "1.0", "ce-source": "/shop", "ce-type": KIND, "ce-datacontenttype": "text/json"}


@pytest.fixture
async def pod(installation: Any, operator: Any, plans: Any, tmp_path: Any) -> Any:
    """A runtime pod that is ready, under the rights of its role."""
    acting = Operator(operator)
    await acting.make_streams(plans)
    await acting.apply(plans)
    credentials = await installation.credentials(Role.RUNTIME)
    settings = PodSettings(
        namespace="mail",
        name="default",
        shards=1,
        nats_url=credentials.url,
        nats_credentials=credentials.file,
        nats_ca=credentials.ca,
        events_port=0,
        admin_port=0,
        links_port=0,
        anonymous=True,
    )
    made = PodProcess(tmp_path, settings)
    await made.start()
    assert await until(made.is_ready), made.log.read_text()
    yield made
    made.close()


async def publish(installation: Any, name: str) -> None:
    producer = await installation.connect(Role.PRODUCER)
    data = f'{{"email": "{name}@example.com", "name": "{name}"}}'.encode()
    try:
        await producer.request(NAMES.inbound_subject(KIND), data, {**HEADERS, "ce-id": name})
    finally:
        await producer.close()


async def test_an_event_becomes_a_mail_and_nobody_needs_more_than_their_rights(
    installation: Any, pod: Any, mailbox: Any
) -> None:
    await publish(installation, "ana")

    async def arrived() -> list[str]:
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello ana"]
    assert await pod.stop() == 0
    assert "permissions violation" not in pod.log.read_text().lower()


async def test_new_credentials_and_a_new_certificate_need_no_restart_of_the_pod(
    installation: Any, operator: Any, plans: Any, pod: Any, mailbox: Any
) -> None:
    await operator.close()
    # Whoever the old keys vouched for is nobody from now on, and their streams are in accounts of before.
    await installation.forget_keys()
    installation.renew_certificate()
    await installation.start()
    again = await installation.connect(Role.OPERATOR)
    acting = Operator(again)
    await acting.make_streams(plans)
    await acting.apply(plans)
    await installation.credentials(Role.RUNTIME)

    assert await until(pod.is_ready)

    async def accepted() -> bool:
        return (await pod.post("ana"))[0] == 202

    assert await until(accepted)

    async def arrived() -> list[str]:
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello ana"]
    assert pod.ended is None
    await again.close()


async def test_a_producer_hears_of_what_was_refused(installation: Any, pod: Any) -> None:
    producer = await installation.connect(Role.PRODUCER)
    told = await producer.client.subscribe(NAMES.refused_subject("producer"))
    await producer.client.flush()

    await producer.request(NAMES.inbound_subject(KIND), b"{no json", {"EmailFlow-Reply": "producer"})

    assert b"MalformedJson" in (await told.next_msg(WITHIN)).data
    await producer.close()


async def test_a_producer_can_not_have_the_server_write_where_it_may_not(
    installation: Any, operator: Any
) -> None:
    """JetStream answers a publish wherever the publish says; an answer must not become an event."""
    producer = await installation.connect(Role.PRODUCER)
    runtime = await installation.connect(Role.RUNTIME)
    forged = f"{NAMES.subject_prefix}.state.0.journey.f.c.i"
    await producer.publish(NAMES.inbound_subject(KIND), b"", reply=forged, headers={**HEADERS, "ce-id": "1"})
    await producer.request(NAMES.inbound_subject(KIND), b"", {**HEADERS, "ce-id": "2"})
    async with asyncio.timeout(10):
        found = await runtime.direct_get(NAMES.state(0), {"last_by_subj": forged})
    await producer.close()
    await runtime.close()

    assert found is None


async def test_a_user_who_is_thrown_out_is_told(installation: Any, operator: Any) -> None:
    soon = SystemClock().now() // 1_000_000_000 + 2
    connection = await connect(await installation.credentials(Role.RUNTIME, expires=soon), "test")
    async with asyncio.timeout(WITHIN):
        await connection.closed()

    assert not connection.connected
