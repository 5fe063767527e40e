"""Each NATS user can do its part, and nobody else's: asked of a real nats-server, act by act."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from nats.aio.client import Client

from emailflow_api.jetstream.naming import Names, Role

from .conftest import NAMES, WITHIN

SUBJECTS = NAMES.subject_prefix
EVENT = f"{SUBJECTS}.events.0.com.example.signed_up"
IN = f"{SUBJECTS}.in.com.example.signed_up"
EVENTS, STATE, INBOUND, LETTERS = NAMES.events, NAMES.state(0), NAMES.inbound, NAMES.dead_letters
PLANS, REPORTS = NAMES.bucket("PLANS"), NAMES.bucket("REPORTS")
PRODUCER, READER, RUNTIME, OPERATOR, BACKUP = Role
INSIDE = {RUNTIME, OPERATOR, BACKUP}
MAY_PUBLISH = {
    IN: {PRODUCER, RUNTIME},
    EVENT: {RUNTIME},
    f"{SUBJECTS}.state.0.epoch": {RUNTIME},
    f"{SUBJECTS}.deadletter.Reason._door": {RUNTIME},
    f"$KV.{PLANS}.current.flow.x": {OPERATOR},
    f"$KV.{REPORTS}.flow.0.x": {RUNTIME},
    f"$KV.{NAMES.bucket('CONSENT')}.x.offers": {RUNTIME},
    f"$KV.{NAMES.bucket('LEASES')}.shard.0": {RUNTIME},
    f"$KV.{NAMES.bucket('ALIASES')}.x": {RUNTIME},
    f"{SUBJECTS}.refused.p1": {RUNTIME},
    f"$JS.API.STREAM.CREATE.{EVENTS}": {OPERATOR},
    f"$JS.API.STREAM.CREATE.KV_{NAMES.bucket('LEASES')}": {OPERATOR},
    f"$JS.API.STREAM.UPDATE.{EVENTS}": {OPERATOR},
    f"$JS.API.STREAM.DELETE.{EVENTS}": {OPERATOR},
    f"$JS.API.STREAM.DELETE.KV_{PLANS}": {OPERATOR},
    f"$JS.API.STREAM.INFO.{EVENTS}": INSIDE,
    f"$JS.API.STREAM.PURGE.{EVENTS}": {RUNTIME},
    f"$JS.API.STREAM.PURGE.{STATE}": {RUNTIME},
    f"$JS.API.STREAM.PURGE.KV_{PLANS}": set(),
    f"$JS.API.STREAM.PURGE.{INBOUND}": {RUNTIME},
    f"$JS.API.STREAM.MSG.DELETE.{LETTERS}": {RUNTIME},
    f"$JS.API.STREAM.MSG.DELETE.KV_{PLANS}": set(),
    f"$JS.API.STREAM.MSG.GET.{STATE}": set(),
    f"$JS.API.STREAM.SNAPSHOT.{STATE}": {BACKUP},
    f"$JS.API.STREAM.RESTORE.{STATE}": {BACKUP},
    f"$JS.API.DIRECT.GET.{STATE}": {RUNTIME},
    f"$JS.API.DIRECT.GET.{STATE}.{SUBJECTS}.state.0.epoch": {OPERATOR},
    f"$JS.API.DIRECT.GET.{STATE}.{SUBJECTS}.state.0.>": set(),
    f"$JS.API.DIRECT.GET.{STATE}.{SUBJECTS}.state.0.relay": set(),
    f"$JS.API.DIRECT.GET.{EVENTS}": {RUNTIME, READER},
    f"$JS.API.DIRECT.GET.KV_{PLANS}": {RUNTIME, OPERATOR},
    f"$JS.API.CONSUMER.CREATE.{EVENTS}.mail_hello": {OPERATOR, RUNTIME},
    f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.mail_hello": {RUNTIME},
    f"$JS.API.CONSUMER.MSG.NEXT.{INBOUND}._door": {RUNTIME},
    f"$JS.API.CONSUMER.CREATE.KV_{PLANS}.x": {OPERATOR},
    f"$JS.ACK.{EVENTS}.mail_hello.1.1.1.1.0": {RUNTIME},
    "emailflow.other.default.in.com.example.x": set(),
    "emailflow.other.default.events.0.com.example.x": set(),
    "$SYS.REQ.ACCOUNT.PING": set(),
    "somebody.else": set(),
}
MAY_SUBSCRIBE = {
    **{f"{NAMES.inbox(role)}.>": {role} for role in Role},
    "_INBOX.>": set(),
    "_INBOX.*.>": set(),
    ">": set(),
    f"{SUBJECTS}.>": set(),
    f"{SUBJECTS}.in.>": set(),
    f"{SUBJECTS}.refused.producer": {PRODUCER},
    f"{SUBJECTS}.refused.p1": set(),
    f"{SUBJECTS}.refused.*": set(),
    f"{SUBJECTS}.events.>": set(),
    f"$KV.{PLANS}.>": {RUNTIME, OPERATOR},
    f"$KV.{REPORTS}.>": {RUNTIME, OPERATOR},
    f"$KV.{NAMES.bucket('CONSENT')}.>": {RUNTIME},
    "$JS.API.>": set(),
    "$JS.ACK.>": set(),
    "$JS.EVENT.>": set(),
}


@pytest.fixture
async def users(installation: Any, operator: Any) -> AsyncIterator[dict[Role, Any]]:
    """A plain client for each role, and what the server refused it."""
    made: dict[Role, Any] = {}
    for role in Role:
        made[role] = await user(installation, role)
    yield made
    for client, _ in made.values():
        await client.close()


async def user(installation: Any, role: Role, **whose: Any) -> tuple[Client, list[str]]:
    import ssl

    credentials, refusals = await installation.credentials(role, **whose), []

    async def note(error: Exception) -> None:
        refusals.append(str(error))

    client = Client()
    tls = {"tls": ssl.create_default_context(cafile=credentials.ca)} if credentials.ca else {}
    await client.connect(
        credentials.url,
        user_credentials=credentials.file,
        inbox_prefix=credentials.inbox,
        error_cb=note,
        **tls,
    )
    return client, refusals


async def let(users: dict[Role, Any], act: Callable[[Client], Any]) -> set[Role]:
    """The roles that may do this; the server speaks of a refusal before it answers the ping of a flush."""
    allowed = set()
    for role, (client, refusals) in users.items():
        refusals.clear()
        await act(client)
        # Twice, for the first ping overtakes what is waiting to be sent.
        await client.flush(WITHIN)
        await client.flush(WITHIN)
        assert all("permissions violation" in each.lower() for each in refusals)
        if not refusals:
            allowed.add(role)
    return allowed


async def test_who_may_publish_what(users: dict[Role, Any]) -> None:
    # The reply leads nowhere: only the permission is asked for, and streams are not deleted meanwhile.
    found = {}
    for subject in MAY_PUBLISH:
        body = b"{" if "API" in subject else b""
        found[subject] = await let(users, lambda client, s=subject, b=body: client.publish(s, b))

    assert found == MAY_PUBLISH


async def test_who_may_listen_to_what(users: dict[Role, Any]) -> None:
    found = {
        subject: await let(users, lambda client, s=subject: client.subscribe(s)) for subject in MAY_SUBSCRIBE
    }

    assert found == MAY_SUBSCRIBE


@pytest.mark.parametrize("role", list(Role))
async def test_the_rights_of_the_longest_names_are_read(installation: Any, role: Role) -> None:
    longest = Names("n" * 63, "r" * 63)
    await installation.open(longest)

    connection = await installation.connect(role, names=longest)

    assert connection.connected
    await connection.close()
