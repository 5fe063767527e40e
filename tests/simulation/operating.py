"""The operator of a world: the shipped `RuntimeData` over JetStream's API in memory.

It makes consumers and PLANS equal to what is applied, in its own order, and may be killed at any await. What
is applied stands in `applying`.
"""

import asyncio
import contextlib
import json
import types
from datetime import UTC, datetime
from functools import lru_cache

from tests.simulation.loop import PROCESS
from tests.simulation.network import TIMEOUT

from emailflow_api.jetstream.epochs import SINCE
from emailflow_api.jetstream.naming import Names
from emailflow_api.jetstream.topology import PLAN
from emailflow_operator.adapters.data_plane import DataPlane
from emailflow_operator.adapters.nats_connection import Page
from emailflow_operator.control.runtime_data import NatsAccess, RuntimeData
from emailflow_operator.errors import NatsUnreachable, OperatorError
from emailflow_operator.reconcile.desired import Compiled
from emailflow_runtime.errors import Unavailable

NAMES = Names("mail", "default")
OWNER = {"spec": {"nats": {"url": "nats://nats.example.com"}}}
ACCESS = NatsAccess("nats://nats.example.com", None, minted=False)
SETTLE = 0.05
"""Seconds that it waits for more changes (`world.Options.settle`)."""
AGAIN_AFTER = 1.0
RESYNC = 30.0
"""Seconds after which it looks at everything again (`world.Options.resync`)."""
OPTIONS = types.SimpleNamespace(options=types.SimpleNamespace(events_bytes=1 << 30))


@lru_cache(maxsize=1024)
def _subject(place):
    """The subject in EVENTS of what the broker in memory keeps as `shard.type`."""
    shard, _, kind = place.partition(".")
    return NAMES.event_subject(int(shard), kind)


class JetStream:
    """What nats-server keeps for the operator: streams, consumers, and the two buckets."""

    def __init__(self, broker, plans, reports):
        self.buckets = {NAMES.bucket("PLANS"): plans, NAMES.bucket("REPORTS"): reports}
        self._telling = set()
        self._broker = broker
        self._streams = {}
        self._consumers = {}

    def answer(self, subject, body):
        """What its API answers; None: what is asked for isn't there."""
        if subject == "INFO":
            return {}
        kind, verb, stream, *consumer = subject.split(".")
        if kind == "STREAM":
            if verb != "INFO":
                self._streams[stream] = body
            there = self._streams.get(stream)
            moment = datetime.fromtimestamp(self._broker.clock.now() // 1_000_000_000, UTC).isoformat()
            return {"config": there, "created": "once", "ts": moment} if there is not None else None
        consumers = self._consumers.setdefault(stream, {})
        if verb == "LIST":
            listed = list(consumers.values())[body["offset"] :]
            return {"total": len(consumers), "consumers": [{"name": c["name"], "config": c} for c in listed]}
        if verb == "CREATE":
            consumers[consumer[0]] = body["config"]
            self._provide(stream, consumer[0], body["config"])
            return {"config": body["config"]}
        if consumers.pop(consumer[0], None) is None:
            return None
        self._remove(consumer[0])
        return {}

    def epoch(self, shard):
        """The headers of the last epoch, as far as they matter."""
        state = self._broker.states[shard]
        return {"Nats-Sequence": str(state.epoch), SINCE: str(state.since)} if state.epoch else None

    def filter_of(self, consumer):
        """The subjects of a consumer that is there."""
        return self._consumers[NAMES.events][consumer]["filter_subjects"]

    def has(self, consumer):
        """Whether this one is there."""
        return consumer in self._consumers.get(NAMES.events, {})

    def _provide(self, stream, name, config):
        """A flow's consumer is made, or filtered otherwise; then it keeps its position."""
        if stream != NAMES.events or name.startswith("_"):
            return
        filters = frozenset(config.get("filter_subjects", ()))
        broker, place = self._broker, _reader(name)
        there = broker._consumers.get(place)
        if there is None:
            end = broker.events.last_sequence
            made = broker.events.consumer(lambda subject: _subject(subject) in filters, start=end)
            broker._consumers[place] = made
            task = asyncio.get_running_loop().create_task(self._tell())
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        else:
            there._wants = lambda subject: _subject(subject) in filters
            there.wake()
        broker._consumers[place].plan = config["metadata"][PLAN]

    def _remove(self, name):
        consumer = self._broker._consumers.pop(_reader(name))
        self._broker.events._consumers.remove(consumer)
        consumer.wake()

    async def _tell(self):
        """Wake whoever waits for a consumer."""
        async with self._broker.changed:
            self._broker.changed.notify_all()


def _reader(name):
    """The flow and the shard of a consumer (`topology.consumer_name`)."""
    namespace, flow, *shard = name.split("_")
    return f"{namespace}_{flow}", int(shard[0]) if shard else 0


class Connection:
    """What DataPlane uses of NatsConnection."""

    max_payload = 8 << 20

    def __init__(self, jetstream, network):
        self._jetstream = jetstream
        self._network = network

    def when_changed(self, tell):
        pass

    async def _call(self, name, effect):
        try:
            return await self._network.call(name, effect)
        except Unavailable as away:
            raise NatsUnreachable(str(away)) from None

    async def api(self, subject, body=None):
        self._network.note("api", subject)
        return await self._call("api", lambda: self._jetstream.answer(subject, body))

    async def find(self, subject):
        return await self.api(subject)

    async def last(self, stream, subject):
        return await self._call("last", lambda: self._jetstream.epoch(int(stream.rpartition("_")[2])))

    async def request(self, subject, data, headers=None):
        _, bucket, name = subject.split(".", 2)

        there, deleted = self._jetstream.buckets[bucket], "KV-Operation" in headers

        def effect():
            if self.collides(there.revision(name), int(headers["Nats-Expected-Last-Subject-Sequence"])):
                return {"error": {"err_code": 10071, "description": "wrong last sequence"}}
            self._network.note("put", name, len(data))
            there.put(name, None if deleted else data)
            return {"seq": there.last}

        if self._network.chance(0.02):
            self._network.arrive_late("put", effect)
            await asyncio.sleep(TIMEOUT)
            raise NatsUnreachable("no answer to a put")
        answer = await self._call("put", effect)
        return types.SimpleNamespace(data=json.dumps(answer).encode())

    def collides(self, revision, expected):
        """Whether a bucket refuses this."""
        return revision != expected

    async def page(self, bucket, sequence):
        there = self._jetstream.buckets[bucket]
        return await self._call("page", lambda: Page(there.since(sequence), there.last + 1))

    async def subscribe(self, subject, take):
        context = self._network.world.copy()
        context.run(PROCESS.set, PROCESS.get())
        loop = self._network.loop

        def hear():
            loop.call_later(self._network.lag(), lambda: loop.create_task(take(None)), context=context)

        self._jetstream.buckets[subject.split(".")[1]].hearers.append(hear)


class Data(RuntimeData):
    """The shipped one, on a connection that is there already."""

    def __init__(self, connection, changed):
        super().__init__((NAMES.namespace, NAMES.name), OPTIONS, changed)
        self.durable = types.SimpleNamespace(ask=_asked, retry=lambda: None, doubt=lambda: None)
        self._data = DataPlane(connection, NAMES)

    async def _opened(self, access):
        return self._data


async def _asked(*_, **__):
    pass


class Operator:
    """One process of it. `applied` says what there is to be."""

    def __init__(self, world, name):
        self.name = name
        self._world = world
        self._wake = asyncio.Event()
        context = world.network.world.copy()
        context.run(PROCESS.set, name)
        self._task = world.loop.create_task(self._run(), context=context)
        self.mark()

    def mark(self):
        """Something has changed."""
        self._wake.set()

    def kill(self):
        """SIGKILL."""
        self._world.network.note("killed", self.name)
        self._world.loop.stop_process(self.name)

    async def _run(self):
        try:
            await self._make_equal()
        except Exception as error:  # noqa: BLE001 - the oracles judge it
            self._world.failures.append(repr(error))

    async def _make_equal(self):
        """Whenever something has changed, and now and then, as a worker of the operator does."""
        world = self._world
        data = Data(world.make.Connection(world.jetstream, world.network), self.mark)
        looked = world.loop.time()
        while True:
            await self._marked()
            await asyncio.sleep(SETTLE)
            self._wake.clear()
            if world.loop.time() - looked >= RESYNC:
                data.forget()
                looked = world.loop.time()
            try:
                await data.make_equal(OWNER, ACCESS, Compiled(world.applied.plans(), {}))
            except OperatorError as error:
                world.network.note("not equal yet", error)
                await asyncio.sleep(AGAIN_AFTER)
                self.mark()

    async def _marked(self):
        """Return when there is something to look at. In quiet hours, when nobody counts, nobody looks."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESYNC):
                await self._wake.wait()
        await self._world.network.lease_clock.awake.wait()
