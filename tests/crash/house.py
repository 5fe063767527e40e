"""One runtime's world in a crash test, and the ledger that decides: what was accepted against what arrived.

Each test has a namespace of its own on servers that it may share. Producers send each event until it is
accepted, under the same id, as producers do.
"""

import asyncio
import itertools
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from tests.crash.awaits import Place
from tests.crash.manifests import KIND, TOPIC, compiled
from tests.crash.processes import Runner, Running, Server, Servers, SinkProcess
from tests.crash.runner_protocol import Life

from emailflow_api.jetstream.naming import DOOR_CONSUMER, Names
from emailflow_api.jetstream.topology import SECOND, streams, system_consumers
from emailflow_runtime.adapters.jetstream.connection import (
    Connection,
    Credentials,
    JetStreamError,
    checked,
    connect,
)
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows
from emailflow_runtime.adapters.jetstream.state_messages import MAIL
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.consent import UNSUBSCRIBED
from emailflow_runtime.core.contact import normalize_address
from emailflow_runtime.core.identity import contact_key
from emailflow_runtime.errors import EmailFlowError, Unavailable

WITHIN = 60.0
AGAIN = 0.05
"""Seconds after which another process is asked again."""
BYTES = 64 << 20
_numbers = itertools.count(1)


class House:
    """What is sent goes into `mails`, `letters`, `skipped` and `failed`: what has to become of it."""

    def __init__(
        self, servers: Servers, sink: SinkProcess, runner: Runner, folder: Path, connection: Connection
    ) -> None:
        self.namespace = f"c{next(_numbers)}"
        self.names = Names(self.namespace, "default")
        self.connection = connection
        self.mails: set[str] = set()
        self.letters: Counter[str] = Counter()
        self.skipped = self.failed = 0
        self.half_way: set[tuple[str, str]] = set()
        """Whose mails had an intent and no outcome on disk when a life ended."""
        self.life: Running | None = None
        self._servers = servers
        self._sink = sink
        self._runner = runner
        self._folder = folder
        self._lives = itertools.count(1)
        self._sending: set[asyncio.Task[None]] = set()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5))

    async def declare(self) -> None:
        """Make the streams, the consumers and the plans."""
        plans = compiled(self.namespace, self._sink.port)
        for config in streams(plans.runtime, replicas=self._servers.count, events_bytes=BYTES):
            await self._made(f"STREAM.CREATE.{config['name']}", config)
        for stream, config in system_consumers(self.names, plans.runtime.shards):
            if config["name"] == DOOR_CONSUMER:
                # What a door took when it died comes again after this.
                config["ack_wait"] = SECOND
            body = {"stream_name": stream, "config": config}
            await self._made(f"CONSUMER.CREATE.{stream}.{config['name']}", body)
        await self._again(lambda: provision_flows(self.connection, plans))
        await self._again(PlanBucket(self.connection, self.names.bucket("PLANS")).write, plans)

    async def _made(self, subject: str, body: dict[str, Any]) -> None:
        await self._again(self.connection.api, subject, body)

    async def _again(self, ask: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Ask until it is done: a cluster that elects its leaders answers nothing, or that it can't now."""
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    await ask(*arguments)
                    return
                except (Unavailable, JetStreamError):
                    await asyncio.sleep(AGAIN)

    # --- lives --------------------------------------------------------------------------------------

    def begin(
        self,
        place: Place | None = None,
        *,
        over: bool = False,
        count: int = 1,
        near: Server | None = None,
        **more: Any,
    ) -> Running:
        """The next life of the runtime, which kills itself at a place if one is given. `near`: the server
        that it is connected to at first."""
        if self.life is not None:
            self.life.close()
        folder = self._folder / f"life{next(self._lives)}"
        folder.mkdir()
        url = (near or self._servers).url
        life = Life(str(folder), url, self.namespace, place, over, count, **more)
        self.life = self._runner.fork(life)
        return self.life

    async def close(self) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self.life is not None:
            self.life.signal(signal.SIGKILL)
            await self.life.ended()
            self.life.close()
        await self._http.close()

    def log(self) -> str:
        """What all lives have said."""
        return "".join(each.read_text() for each in sorted(self._folder.glob("life*/log")))

    async def note_half_way(self) -> None:
        """A life has ended: the outcomes of these mails may never be known."""
        while True:
            with suppress(Unavailable, JetStreamError):
                await self._note_half_way()
                return
            await asyncio.sleep(AGAIN)

    async def _note_half_way(self) -> None:
        """Ask for all records, and take no answer of a replica that has not got as far as its leader.

        What the life that has ended wrote last may still be on its way, on a cluster for milliseconds: a
        write of one's own, of a contact that nobody is, is stored after it.
        """
        stream, subjects = self.names.state(0), self.names.state_subjects(0)
        mine = subjects.contact("ledger")
        checked(await self.connection.request(mine, b""))
        known = (await self.connection.api(f"STREAM.INFO.{stream}"))["state"]["last_seq"]
        for flow in ("hello", "later", "broken"):
            # One's own is asked for, too: so there is always an answer, which says how far the replica is.
            body = {"multi_last": [mine, subjects.journey(f"{self.namespace}_{flow}", "*", "*")]}
            async for each in self.connection.direct_get_many(stream, body, known=known):
                if each.headers.get(MAIL) == "Attempted":
                    self.half_way.add((flow, each.headers["Nats-Subject"]))

    # --- producers ----------------------------------------------------------------------------------

    def post(self, name: str, kind: str = KIND, at: str = "example.com", **data: str) -> None:
        """Send one event over HTTP, until it is accepted."""
        self._send(self._posting(name, kind, {"email": f"{name}@{at}", "n": name, **data}))

    async def _posting(self, name: str, kind: str, data: dict[str, str]) -> None:
        headers = {"ce-specversion": "1.0", "ce-id": name, "ce-source": "/test", "ce-type": kind}
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                port = self.life.told("port") if self.life else None
                if port:
                    url = f"http://127.0.0.1:{port}/events"
                    async with self._http.post(url, json=data, headers=headers) as answer:
                        if answer.status == 202:
                            return
                        assert answer.status in {429, 503}, await answer.text()
            await asyncio.sleep(AGAIN)

    def publish(self, name: str, *, told: str = KIND) -> None:
        """Publish one event on NATS, until JetStream has it. `told` is the type that it says it is."""
        data = json.dumps({"email": f"{name}@example.com", "n": name}).encode()
        headers = {"ce-specversion": "1.0", "ce-id": name, "ce-source": "/test", "ce-type": told}
        self._send(self._published(self.names.inbound_subject(KIND), data, headers))

    async def _published(self, subject: str, data: bytes, headers: dict[str, str]) -> None:
        while True:
            with suppress(Unavailable, JetStreamError):
                checked(await self.connection.request(subject, data, headers))
                return
            await asyncio.sleep(AGAIN)

    async def unsubscribe(self, name: str) -> None:
        """As the unsubscribe link of a mail does."""
        address = contact_key("address", normalize_address(f"{name}@example.com"))
        body = {"address": address, "topic": TOPIC, "mail": "m"}
        await self.append(name, UNSUBSCRIBED, json.dumps(body).encode())

    async def append(self, name: str, kind: str, data: bytes) -> None:
        """Put an event of EmailFlow's own into the log."""
        event = CloudEvent(id=f"{name}-own", source="/links", type=kind, data=data)
        await JetStreamEventLog(self.connection, self.names).append([LogEntry(event, "", 0)])

    async def write(self, kind: str, data: bytes) -> None:
        """Put what is no event into the log, as somebody with the rights to may."""
        checked(await self.connection.request(self.names.event_subject(0, kind), data))

    def _send(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending)
        self._sending.add(task)

    async def all_accepted(self) -> None:
        """Return when everything that is sent has been accepted."""
        async with asyncio.timeout(WITHIN):
            # Shielded: whoever stops waiting stops no producer.
            await asyncio.shield(asyncio.gather(*self._sending))

    # --- the ledger ---------------------------------------------------------------------------------

    def arrived(self) -> Counter[str]:
        """How often each mail of this runtime has arrived at the sink, by the name in its subject."""
        ids = {mail["subject"].removeprefix("Hello ") for mail in self._sink.mails()}
        ours = ids & self.mails
        return Counter(
            name for mail in self._sink.mails() if (name := mail["subject"].removeprefix("Hello ")) in ours
        )

    async def facts(self, kind: str) -> int:
        """How many facts of this type EVENTS has, each counted once."""
        return len(await self._ids(self.names.events, self.names.event_subject(0, f"dev.emailflow.{kind}")))

    async def unknown(self) -> int:
        """How many mails are recorded as unknown."""
        return await self.facts("message.unknown")

    async def kept(self) -> Counter[str]:
        """The dead letters, by reason."""
        subject = f"{self.names.subject_prefix}.deadletter.>"
        return Counter((await self._ids(self.names.dead_letters, subject)).values())

    async def _ids(self, stream: str, subject: str) -> dict[str, str]:
        """The reasons (empty: it has none) of the messages below a subject, by source and id."""
        found: dict[str, str] = {}
        after, more = 0, True
        while more:
            more = False
            body = {"seq": after + 1, "batch": 256, "next_by_subj": subject}
            async for each in self.connection.direct_get_many(stream, body):
                more, after = True, int(each.headers["Nats-Sequence"])
                id_ = each.headers.get("ce-source", "") + each.headers.get("ce-id", str(after))
                found[id_] = each.headers.get("EmailFlow-Reason", "")
        return found

    async def settled(self, *, within: float = WITHIN) -> None:
        """Return when the log tells the end of everything that was accepted."""
        await self.all_accepted()
        try:
            async with asyncio.timeout(within):
                while not await self._is_settled():  # noqa: ASYNC110 - other processes do it
                    await asyncio.sleep(AGAIN)
        except TimeoutError:
            raise AssertionError(f"{await self._account()}\n{self.log()[-3000:]}") from None

    async def told(self, name: str) -> None:
        """Return when this life has told so: `port`, `ready`."""
        assert self.life is not None
        async with asyncio.timeout(WITHIN):
            while self.life.told(name) is None:  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(AGAIN)

    async def _is_settled(self) -> bool:
        with suppress(EmailFlowError):
            ends = await self.facts("message.accepted") + await self.unknown() + await self.put_aside()
            return (
                ends >= len(self.mails)
                and await self.facts("message.skipped") >= self.skipped
                and await self.facts("message.failed") >= self.failed
                and not self.letters - await self.kept()
            )
        return False

    async def put_aside(self) -> int:
        """How many inputs are dead letters because owner after owner ended with them in hand."""
        return (await self.kept() - self.letters)["PoisonInput"]

    async def _account(self) -> str:
        """How far everything has come, for who has to find out why it stopped."""
        kinds = ("accepted", "unknown", "skipped", "failed", "deferred", "requested")
        facts = {kind: await self.facts(f"message.{kind}") for kind in kinds}
        missing = sorted(self.mails - self.arrived().keys())
        return f"of {len(self.mails)} mails {missing} did not arrive; {facts}; letters {await self.kept()}"

    async def verdict(self, *, unknown: int = 0, put_aside: int = 0) -> None:
        """Settle, hand over, and judge: everything once, but for at most so many that are recorded."""
        await self.settled()
        assert self.life is not None
        await self.told("ready")
        self.life.signal(signal.SIGTERM)
        await self.life.ended()
        arrived, recorded, aside = self.arrived(), await self.unknown(), await self.put_aside()
        assert {name: count for name, count in arrived.items() if count > 1} == {}
        assert recorded <= unknown
        assert aside <= put_aside, await self._account()
        assert len(self.mails - arrived.keys()) <= recorded + aside, await self._account()
        if not aside:
            assert await self.facts("message.accepted") == len(self.mails) - recorded
            ended = len(self.mails) + self.skipped + self.failed
            assert await self.facts("journey.completed") == ended
            assert set(await self.kept()) == set(self.letters)
        assert self.life.told("ended") is not None, self.log()[-3000:]


@asynccontextmanager
async def opened(servers: Servers, sink: SinkProcess, runner: Runner, folder: Path) -> AsyncIterator[House]:
    """A house with its streams made."""
    connection = await connect(Credentials(servers.url), "test")
    house = House(servers, sink, runner, folder, connection)
    try:
        await house.declare()
        yield house
    finally:
        await house.close()
        await connection.close()
