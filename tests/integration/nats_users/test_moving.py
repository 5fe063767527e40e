"""Streams of an earlier version, all in one account, come into their runtime's as they were."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client, RawCredentials
from nats.errors import Error as NatsError

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.jetstream.permissions import Permissions
from emailflow_api.jetstream.topology import streams
from emailflow_api.plans import RuntimePlan
from emailflow_operator.adapters.nats_connection import NatsConnection
from emailflow_operator.adapters.nats_keys import ACCOUNT, OPERATOR, USER, credentials_file, new_key
from emailflow_operator.control.installation_keys import AUTH_SECRET, secret
from emailflow_operator.control.moving import Moving
from emailflow_operator.errors import NatsUnreachable, StreamsNotMoved
from emailflow_operator.reconcile.nats_claims import (
    former_account,
    operator_claims,
    system_claims,
    user_claims,
)

from .conftest import NAMES, OTHER, WITHIN, Installation, provision

ALL = Permissions((">",), (">",))
KIND = "com.example.signed_up"
OWNER = StreamOwner(NAMES.namespace, NAMES.name)
STATE, EVENTS = NAMES.state(0), NAMES.events


class Earlier(Installation):
    """An installation as earlier versions made it: one account, whose signing key vouches for everybody."""

    opens = ()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, tls=False)
        kinds = {"operator.nk": OPERATOR} | dict.fromkeys(
            ("account.nk", "producers.nk", "signing.nk", "system.nk"), ACCOUNT
        )
        self.keys = {name: new_key(kind) for name, kind in kinds.items()}

    def user(self) -> str:
        account, signing, user = self.keys["account.nk"], self.keys["signing.nk"], new_key(USER)
        claims = user_claims(account.public, signing.public, user.public, "earlier", ALL)
        return credentials_file(signing.sign(claims), user.seed)

    async def start_earlier(self) -> None:
        operator, account, system = (self.keys[each] for each in ("operator.nk", "account.nk", "system.nk"))
        claims = former_account(operator.public, account.public)
        claims["nats"]["signing_keys"] = [self.keys["signing.nk"].public]
        claims["nats"]["limits"]["mem_storage"] = -1
        tokens = {
            account.public: operator.sign(claims),
            system.public: operator.sign(system_claims(operator.public, system.public)),
        }
        root = operator.sign(operator_claims(operator.public, system.public))
        preload = "\n".join(f"{name}: {token}" for name, token in tokens.items())
        resolver = f"operator: {root}\nsystem_account: {system.public}\nresolver: MEMORY\n"
        data = {name: key.seed for name, key in self.keys.items()} | {"auth.conf": "of before"}
        path = f"/api/v1/namespaces/emailflow/secrets/{AUTH_SECRET}"
        self.kubernetes.there[path] = secret("emailflow", AUTH_SECRET, data)
        conf = self.folder / "earlier.conf"
        store = f'jetstream {{ store_dir: "{self.folder}/js", max_file_store: 4GB, max_memory_store: 64MB }}'
        listen = f'listen: "127.0.0.1:{self.port}"\nmax_control_line: 512KB\nmax_payload: 8MB'
        conf.write_text(f"{listen}\n{store}\n{resolver}resolver_preload: {{\n{preload}\n}}\n")
        await self.run(conf)

    async def enter(self) -> Client:
        """A client with the rights of before."""
        async with asyncio.timeout(WITHIN):
            while True:
                client = Client()
                try:
                    await client.connect(
                        self.url, user_credentials=RawCredentials(self.user()), allow_reconnect=False
                    )
                except (NatsError, OSError):
                    await client.close()
                    await asyncio.sleep(0.1)
                else:
                    return client


async def is_shut_out(url: str, credentials: Any) -> bool:
    """Whether the server refuses these credentials, and says so."""
    client, said = Client(), list[str]()

    async def note(error: Exception) -> None:
        said.append(str(error))

    try:
        await client.connect(url, user_credentials=credentials, allow_reconnect=False, error_cb=note)
    except NatsError as error:
        said.append(str(error))
    finally:
        await client.close()
    return any("Authorization Violation" in each for each in said)


class Plain:
    """A client that is asked as the operator's connection is."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def api(self, subject: str, body: Any = None) -> dict[str, Any]:
        data = json.dumps(body).encode() if body is not None else b""
        answer = json.loads((await self.client.request(f"$JS.API.{subject}", data, timeout=WITHIN)).data)
        assert "error" not in answer, answer
        return dict(answer)


@pytest.fixture
async def earlier(tmp_path: Path) -> AsyncIterator[tuple[Earlier, dict[str, Any]]]:
    """Streams of two runtimes with something in them, left by an earlier version; what the first's held."""
    made = Earlier(tmp_path)
    await made.start_earlier()
    client = await made.enter()
    plain = Plain(client)
    for names in (NAMES, OTHER):
        await fill(plain, names)
    held = {each["config"]["name"]: each for each in (await plain.api("STREAM.LIST"))["streams"]}
    consumer = await plain.api(f"CONSUMER.INFO.{EVENTS}.shop_hello")
    await client.close()
    await made.stop()
    yield made, {**held, "consumer": consumer}
    await made.stop()


async def fill(plain: Plain, names: Names) -> None:
    runtime = RuntimePlan(namespace=names.namespace, name=names.name)
    for config in streams(runtime, events_bytes=1 << 30, owner=StreamOwner(*names)):
        earlier = (
            {"storage": "memory", "persist_mode": "default"} if config["name"].endswith("_LEASES") else {}
        )
        await plain.api(f"STREAM.CREATE.{config['name']}", {**config, **earlier})
    consumer = {"durable_name": "shop_hello", "name": "shop_hello", "ack_policy": "explicit"}
    await plain.api(
        f"CONSUMER.CREATE.{names.events}.shop_hello", {"stream_name": names.events, "config": consumer}
    )
    for number in range(20):
        await plain.client.request(names.event_subject(0, KIND), b"%d" % number, timeout=WITHIN)
    for number in range(10):
        await plain.client.request(
            f"$KV.{names.bucket('PLANS')}.k{number % 4}", b"%d" % number, timeout=WITHIN
        )
    for number in range(3):
        await plain.client.request(names.inbound_subject(KIND), b"%d" % number, timeout=WITHIN)
    await plain.api(f"STREAM.PURGE.{names.inbound}")
    inbox = plain.client.new_inbox()
    taken = await plain.client.subscribe(inbox)
    asked = json.dumps({"batch": 5}).encode()
    await plain.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{names.events}.shop_hello", asked, reply=inbox)
    for number in range(5):
        message = await taken.next_msg(WITHIN)
        if number < 3:
            await plain.client.request(message.reply, b"+ACK", timeout=WITHIN)
    state = names.state_subjects(0)
    for subject in (state.epoch, state.journey("f", "c", "i"), state.contact("c"), state.epoch):
        await plain.client.request(subject, b"record", timeout=WITHIN, headers={"Nats-TTL": "1h"})


async def begin(made: Earlier) -> Moving:
    """The present version starts on what the earlier one left."""
    await made.start()
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                await made.accounts.share()
                break
            except NatsUnreachable:
                await asyncio.sleep(0.1)
    return Moving(made.accounts, made.servers)


async def taken_over(made: Earlier, held: dict[str, Any]) -> None:
    """Everything is in the runtime's account as it was, and nothing of it in the old one."""
    await made.accounts.set_account(OWNER, replicas=1)
    backup = await made.servers.connection(await made.accounts.server(NAMES, Role.BACKUP))
    there = {each["name"]: each for each in await backup.streams()}
    kept = [name for name in held if name.removeprefix("KV_").startswith(NAMES.prefix)]
    assert set(there) == {name for name in kept if not name.endswith("_LEASES")}
    for name in there:
        state = (await backup.api(f"STREAM.INFO.{name}"))["state"]
        before = held[name]["state"]
        # Of a stream that never held anything, both mean the same.
        assert max(1, state["first_seq"]) == max(1, before["first_seq"]), name
        assert state["last_seq"] == before["last_seq"]
        # The share is half of what the log was bound by: all bounds are less, and none is gone.
        assert (there[name]["max_bytes"] > 0) == (held[name]["config"]["max_bytes"] > 0)
        assert "emailflow.dev/moved" not in there[name]["metadata"]
    runtime = await made.connect(Role.RUNTIME)
    consumer = await runtime.api(f"CONSUMER.INFO.{EVENTS}.shop_hello")
    for key in ("ack_floor", "delivered"):
        assert consumer[key]["stream_seq"] == held["consumer"][key]["stream_seq"]
    assert consumer["num_ack_pending"] == 2
    stored = await runtime.direct_get(NAMES.events, {"seq": 20})
    assert stored is not None
    assert stored.data == b"19"
    await runtime.close()
    former = await made.accounts.former_server()
    assert former is not None
    left = [each["name"] for each in await (await made.servers.connection(former)).streams()]
    assert left
    assert all(name.removeprefix("KV_").startswith(OTHER.prefix) for name in left)


async def test_streams_come_into_the_runtime_s_account_as_they_were(earlier: Any) -> None:
    made, held = earlier
    moving = await begin(made)

    await moving.move(OWNER, replicas=1)

    await taken_over(made, held)


async def test_credentials_of_before_let_in_nobody(earlier: Any) -> None:
    made, _ = earlier
    await begin(made)

    assert await is_shut_out(made.url, RawCredentials(made.user()))


async def test_nobody_gets_in_before_the_last_stream_is_there(
    earlier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = earlier
    moving = await begin(made)
    runtime = await made.credentials(Role.RUNTIME)
    tried: list[bool] = []
    api = NatsConnection.api

    async def watched(self: NatsConnection, subject: str, body: Any = None) -> dict[str, Any]:
        if subject.startswith("STREAM.RESTORE"):
            tried.append(await is_shut_out(made.url, runtime.file))
        return await api(self, subject, body)

    monkeypatch.setattr(NatsConnection, "api", watched)
    await moving.move(OWNER, replicas=1)
    monkeypatch.undo()

    assert tried == [True] * 8
    await made.accounts.set_account(OWNER, replicas=1)
    await (await made.connect(Role.RUNTIME)).close()


STEPS = ["STREAM.UPDATE", "STREAM.SNAPSHOT", "STREAM.RESTORE", "STREAM.DELETE"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("step", STEPS)
async def test_it_goes_on_wherever_the_operator_was_ended(
    earlier: Any, monkeypatch: pytest.MonkeyPatch, step: str, number: int, when: str
) -> None:
    made, held = earlier
    moving = await begin(made)
    api, seen = NatsConnection.api, 0

    async def ending(self: NatsConnection, subject: str, body: Any = None) -> dict[str, Any]:
        nonlocal seen
        seen += subject.startswith(step)
        if subject.startswith(step) and seen == number and when == "before":
            raise NatsUnreachable("the operator is ended here")
        answer = await api(self, subject, body)
        if subject.startswith(step) and seen == number:
            raise NatsUnreachable("the operator is ended here")
        return answer

    monkeypatch.setattr(NatsConnection, "api", ending)
    with pytest.raises(NatsUnreachable, match="ended here"):
        await moving.move(OWNER, replicas=1)
    monkeypatch.undo()
    await made.servers.close()

    again = Moving(made.accounts, made.servers)
    await again.move(OWNER, replicas=1)

    await taken_over(made, held)


async def test_a_stream_that_is_in_use_is_not_overwritten(earlier: Any) -> None:
    made, _ = earlier
    moving = await begin(made)
    await made.accounts.set_account(OWNER, replicas=1)
    operator = await made.connect(Role.OPERATOR)
    await provision(operator, NAMES)
    await operator.close()

    with pytest.raises(StreamsNotMoved, match="expected one of them to be deleted"):
        await moving.move(OWNER, replicas=1)

    former = await made.accounts.former_server()
    assert former is not None
    left = [each["name"] for each in await (await made.servers.connection(former)).streams()]
    assert EVENTS in left


async def test_the_secret_keeps_what_was_in_it(earlier: Any) -> None:
    made, _ = earlier
    await begin(made)
    (found,) = made.kubernetes.there.values()
    held = {key: base64.b64decode(value).decode() for key, value in found["data"].items()}
    assert {name: held[name] for name in made.keys} == {name: key.seed for name, key in made.keys.items()}
    assert held["auth.conf"] == "of before"
    assert held["accounts.nk"].startswith("SA")
