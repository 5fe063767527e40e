"""What a tenant tries with credentials of its own against another on the same NATS: each act is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client

from emailflow_api.jetstream.naming import Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_operator.errors import NatsStorageExhausted
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError, checked

from .conftest import NAMES, OTHER, WITHIN, provision
from .test_roles import user

VICTIM, ENEMY = NAMES, OTHER
KIND = "com.example.signed_up"
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": KIND}


@pytest.fixture
async def victim(installation: Any, operator: Any) -> AsyncIterator[Connection]:
    """The attacked runtime's own user; something stands in its streams."""
    made = await installation.connect(Role.RUNTIME)
    await made.request(VICTIM.event_subject(0, KIND), b'{"email": "ana@example.com"}', HEADERS)
    await made.request(VICTIM.state_subjects(0).epoch, b"1")
    await operator.request(f"$KV.{VICTIM.bucket('PLANS')}.current.provider.relay", b"good-digest")
    yield made
    await made.close()


@pytest.fixture
async def enemy(installation: Any, victim: Any) -> AsyncIterator[Client]:
    """The user of another runtime on the same server, whose streams are there, too."""
    operator = await installation.connect(Role.OPERATOR, names=ENEMY)
    await provision(operator, ENEMY)
    await operator.close()
    client, _ = await user(installation, Role.RUNTIME, names=ENEMY)
    yield client
    await client.close()


async def state_of(connection: Connection, stream: str) -> dict[str, Any]:
    return dict((await connection.api(f"STREAM.INFO.{stream}"))["state"])


async def settled(client: Client) -> None:
    """All that the client has sent has been dealt with: the server answers in order."""
    await client.flush(WITHIN)
    await client.flush(WITHIN)


async def test_a_direct_get_s_answer_does_not_become_another_tenant_s_plan(
    victim: Connection, enemy: Client
) -> None:
    subject = ENEMY.event_subject(0, KIND)
    await enemy.request(subject, b"evil-digest", timeout=WITHIN)
    into = f"$KV.{VICTIM.bucket('PLANS')}.current.provider.relay"
    before = await state_of(victim, f"KV_{VICTIM.bucket('PLANS')}")

    body = json.dumps({"last_by_subj": subject}).encode()
    await enemy.publish(f"$JS.API.DIRECT.GET.{ENEMY.events}", body, reply=into)
    await enemy.publish(f"$JS.API.DIRECT.GET.{VICTIM.events}", body, reply=into)
    await settled(enemy)
    # The same request with an answer that can be seen: by now the others have been answered, too.
    assert (await enemy.request(f"$JS.API.DIRECT.GET.{ENEMY.events}", body, timeout=WITHIN)).data

    assert await state_of(victim, f"KV_{VICTIM.bucket('PLANS')}") == before


async def test_an_acknowledgement_does_not_become_another_tenant_s_epoch(
    victim: Connection, enemy: Client
) -> None:
    before = await state_of(victim, VICTIM.state(0))

    for into in (VICTIM.state_subjects(0).epoch, VICTIM.event_subject(0, KIND), VICTIM.inbound_subject(KIND)):
        await enemy.publish(ENEMY.event_subject(0, KIND), b"{}", reply=into)
        await enemy.publish(into, b"{}")
    await settled(enemy)
    await enemy.request(ENEMY.event_subject(0, KIND), b"{}", timeout=WITHIN)

    assert await state_of(victim, VICTIM.state(0)) == before
    assert (await state_of(victim, VICTIM.events))["messages"] == 1
    assert (await state_of(victim, VICTIM.inbound))["messages"] == 0


async def test_a_runtime_makes_no_stream_to_copy_another_tenant_s(
    installation: Any, victim: Connection, enemy: Client
) -> None:
    name = f"KV_{ENEMY.bucket('LEASES')}"
    copy = {"name": "COPY", "sources": [{"name": VICTIM.events}, {"name": f"KV_{VICTIM.bucket('PLANS')}"}]}
    enemys, refusals = await user(installation, Role.RUNTIME, names=ENEMY)
    for subject in (
        f"$JS.API.STREAM.CREATE.{name}",
        "$JS.API.STREAM.CREATE.COPY",
        f"$JS.API.STREAM.UPDATE.{name}",
    ):
        refusals.clear()
        await enemys.publish(subject, json.dumps(copy).encode())
        await settled(enemys)
        assert refusals, subject
    await enemys.close()

    # Not even with the operator's rights in the enemy's account: the other's streams are not in it.
    maker = await installation.connect(Role.OPERATOR, names=ENEMY)
    await maker.api("STREAM.CREATE.COPY", copy)
    with pytest.raises(JetStreamError):
        await maker.api(f"STREAM.INFO.{VICTIM.events}")
    assert (await state_of(maker, "COPY"))["messages"] == 0
    await maker.close()


async def test_a_producer_s_acknowledgements_reach_no_other_tenant(
    installation: Any, victim: Connection, enemy: Client
) -> None:
    producer, _ = await user(installation, Role.PRODUCER, names=ENEMY)
    subject = ENEMY.inbound_subject(KIND)
    for into in (VICTIM.inbound_subject(KIND), VICTIM.event_subject(0, KIND), ENEMY.event_subject(0, KIND)):
        await producer.publish(subject, b"{}", reply=into, headers=HEADERS)
    await producer.request(subject, b"{}", timeout=WITHIN, headers=HEADERS)
    await producer.close()

    assert (await state_of(victim, VICTIM.inbound))["messages"] == 0
    assert (await state_of(victim, VICTIM.events))["messages"] == 1
    answer = await enemy.request(f"$JS.API.STREAM.INFO.{ENEMY.events}", timeout=WITHIN)
    assert json.loads(answer.data)["state"]["messages"] == 0


async def test_a_reader_reads_the_log_and_its_answers_are_written_nowhere(
    installation: Any, victim: Connection
) -> None:
    reader, refusals = await user(installation, Role.READER)
    body = json.dumps({"seq": 1, "batch": 10, "next_by_subj": f"{VICTIM.subject_prefix}.events.>"}).encode()
    before = await state_of(victim, VICTIM.events)
    for into in (
        VICTIM.event_subject(0, KIND),
        f"$KV.{VICTIM.bucket('PLANS')}.x",
        VICTIM.inbound_subject(KIND),
    ):
        await reader.publish(f"$JS.API.DIRECT.GET.{VICTIM.events}", body, reply=into)
    inbox = reader.new_inbox()
    subscription = await reader.subscribe(inbox)
    await reader.publish(f"$JS.API.DIRECT.GET.{VICTIM.events}", body, reply=inbox)
    found = await subscription.next_msg(WITHIN)
    end = await subscription.next_msg(WITHIN)

    assert found.data == b'{"email": "ana@example.com"}'
    assert end.headers["Status"] == "204"
    assert await state_of(victim, VICTIM.events) == before
    assert not refusals
    await reader.publish(f"$JS.API.STREAM.INFO.{VICTIM.events}", b"")
    await reader.publish(VICTIM.inbound_subject(KIND), b"{}")
    await settled(reader)
    assert len(refusals) == 2
    await reader.close()


async def test_producers_with_names_of_their_own_hear_of_their_own_refusals_only(
    installation: Any, victim: Connection
) -> None:
    first = await installation.connect(Role.PRODUCER, producer="till")
    told = await first.client.subscribe(VICTIM.refused_subject("till"))
    await first.client.flush()
    second, refusals = await user(installation, Role.PRODUCER, producer="web")
    for subject in ("till", "*", "producer"):
        await second.subscribe(VICTIM.refused_subject(subject))
    await second.subscribe(f"{VICTIM.inbox(Role.PRODUCER, 'till')}.>")
    await settled(second)

    await victim.publish(VICTIM.refused_subject("till"), b"it is refused")

    assert (await told.next_msg(WITHIN)).data == b"it is refused"
    assert len(refusals) == 4
    await first.close()
    await second.close()


async def test_a_tenant_whose_streams_are_full_takes_nothing_from_another(
    installation: Any, victim: Connection, enemy: Client
) -> None:
    installation.accounts._share = 1 << 20
    await installation.accounts.set_account(StreamOwner(*ENEMY, "Retain"), replicas=1)
    subject = ENEMY.state_subjects(0).journey("f", "c", "{}").replace("{}", "i")

    async def refused() -> bool:
        for number in range(40):
            answer = await enemy.request(f"{subject}{number}", b"x" * 100_000, timeout=WITHIN)
            if json.loads(answer.data).get("error", {}).get("err_code") == 10002:
                return True
        return False

    assert await refused()
    # What can't be stored now is tried again, and is nobody's fault: no journey ends by it.
    mine = await installation.connect(Role.RUNTIME, names=ENEMY)
    with pytest.raises(JetStreamError) as full:
        checked(await mine.request(f"{subject}full", b"x" * 100_000))
    assert (full.value.code, full.value.for_good) == (10002, False)
    await mine.close()
    answer = await victim.request(VICTIM.state_subjects(0).journey("f", "c", "i"), b"x" * 2_000_000)
    assert b"error" not in answer.data


async def test_an_account_that_does_not_fit_is_not_made(installation: Any, victim: Connection) -> None:
    installation.accounts._share = 5 << 30
    with pytest.raises(NatsStorageExhausted, match="expected a larger volume"):
        await installation.accounts.set_account(StreamOwner("third", "default"), replicas=1)
    installation.accounts._share = 512 << 20
    # Had it been handed over, a server that starts again could leave out any of the accounts.
    await installation.stop()
    await installation.start()
    again = await installation.connect(Role.RUNTIME)
    async with asyncio.timeout(WITHIN):
        assert (await state_of(again, VICTIM.events))["messages"] == 1
    await again.close()
