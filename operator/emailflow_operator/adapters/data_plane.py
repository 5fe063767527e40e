"""One runtime's side of JetStream: its streams and consumers made equal to what is wanted, PLANS written,
REPORTS read.

What was found or written is remembered, so that a pass without a change sends nothing; `forget` makes the
next one look again. A consumer that exists keeps its position.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from nats.aio.msg import Msg

from emailflow_api.jetstream.epochs import first_epoch
from emailflow_api.jetstream.naming import Names
from emailflow_api.jetstream.topology import Config
from emailflow_api.plans.entries import CURRENT
from emailflow_operator.adapters.nats_connection import NatsConnection, checked
from emailflow_operator.adapters.together import together
from emailflow_operator.errors import JetStreamRefused, NotDurable
from emailflow_operator.reconcile.differences import consumer_changes, stream_changes

NO_ROOM = frozenset({10002, 10023, 10028, 10047})
"""JetStream's codes for: what streams have reserved leaves too little."""
SMALLEST = 128 << 20
TOGETHER = 32
"""Requests under way at once."""
_NO_HEADERS: Mapping[str, str] = {}


class DataPlane:
    """Everything raises NatsUnreachable and JetStreamRefused."""

    def __init__(self, connection: NatsConnection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._streams: dict[str, Config] = {}
        self._consumers: dict[str, dict[str, Config]] = {}
        self._created: dict[str, str] = {}
        self._leases = f"KV_{names.bucket('LEASES')}"
        self._plans = Bucket(connection, names.bucket("PLANS"))
        self.reports = Bucket(connection, names.bucket("REPORTS"))

    @property
    def connection(self) -> NatsConnection:
        """What it talks over."""
        return self._connection

    def forget(self) -> None:
        """Look at everything again at the next pass."""
        self._streams.clear()
        self._consumers.clear()

    async def check(self) -> None:
        """Return when NATS answers."""
        await self._connection.api("INFO")

    async def now(self) -> int:
        """The time of the log's leader, which stamps events (nanoseconds since 1970 UTC)."""
        info = await self._connection.api(f"STREAM.INFO.{self._names.events}")
        return int(datetime.fromisoformat(info["ts"]).timestamp() * 1_000_000) * 1_000

    async def usage(self) -> dict[str, Any]:
        """What JetStream says of the account: what is stored, and what may be."""
        return await self._connection.api("INFO")

    # --- streams and consumers ----------------------------------------------------------------------

    async def ensure_streams(self, wanted: Iterable[Config]) -> None:
        """Create what is missing, update what differs. Raises NotDurable as well."""
        for config in wanted:
            name = config["name"]
            if name not in self._streams:
                found = await self._connection.find(f"STREAM.INFO.{name}")
                if found is not None:
                    self._streams[name] = found["config"]
                    self._note_created(name, found.get("created", ""))
            there = self._streams.get(name)
            if there is not None and name == self._leases and _persistence(there) != _persistence(config):
                # JetStream refuses to change it, and it holds nothing that counts.
                await self._connection.find(f"STREAM.DELETE.{name}")
                there = None
            elif there is not None and name != self._leases and there.get("persist_mode") == "async":
                # JetStream refuses to change it.
                raise NotDurable(
                    f"stream {name} has persist_mode async: it acknowledges before it is on disk"
                )
            change = stream_changes(there, config)
            if change is not None:
                answer = await self._create(change) if there is None else await self._update(change)
                self._streams[name] = answer["config"]
                self._note_created(name, answer.get("created", ""))

    async def _create(self, config: Config) -> dict[str, Any]:
        """Create a stream; where the disk has no room for its bound, with the largest half that fits."""
        while True:
            try:
                return await self._connection.api(f"STREAM.CREATE.{config['name']}", config)
            except JetStreamRefused as refused:
                if refused.code not in NO_ROOM or config.get("max_bytes", 0) < SMALLEST:
                    raise JetStreamRefused(refused.code, f"stream {config['name']}: {refused}") from None
                config = {**config, "max_bytes": config["max_bytes"] // 2}

    async def _update(self, config: Config) -> dict[str, Any]:
        try:
            return await self._connection.api(f"STREAM.UPDATE.{config['name']}", config)
        except JetStreamRefused as refused:
            raise JetStreamRefused(refused.code, f"stream {config['name']}: {refused}") from None

    def _note_created(self, stream: str, created: str) -> None:
        """A bucket that was made anew holds nothing of what was read before."""
        if self._created.setdefault(stream, created) != created:
            self._created[stream] = created
            for bucket in (self._plans, self.reports):
                if bucket.stream == stream:
                    bucket.start_again()

    async def ensure_consumers(self, stream: str, wanted: Iterable[Config]) -> None:
        """Create what is missing, update what differs; others stay."""
        there = await self._consumers_of(stream)
        changes = [change for each in wanted if (change := consumer_changes(there.get(each["name"]), each))]
        with self._doubting(stream):
            await together(lambda config: self._make_consumer(stream, config), changes, limit=TOGETHER)

    async def remove_consumers(self, stream: str, names: Iterable[str]) -> None:
        """Delete consumers; those that aren't there are no matter."""
        there = await self._consumers_of(stream)
        with self._doubting(stream):
            for name in names:
                if name in there:
                    await self._connection.find(f"CONSUMER.DELETE.{stream}.{name}")
                    del there[name]

    @contextlib.contextmanager
    def _doubting(self, stream: str) -> Iterator[None]:
        """Forget what consumers there are when a change of them fails: it may have been made all the same."""
        try:
            yield
        except BaseException:
            self._consumers.pop(stream, None)
            raise

    async def delete_streams(self, names: Iterable[str]) -> None:
        """Delete streams and all that is in them; those that aren't there are no matter."""
        for name in names:
            await self._connection.find(f"STREAM.DELETE.{name}")
        self.forget()

    async def _make_consumer(self, stream: str, config: Config) -> None:
        body = {"stream_name": stream, "config": config}
        answer = await self._connection.api(f"CONSUMER.CREATE.{stream}.{config['name']}", body)
        self._consumers[stream][config["name"]] = answer["config"]

    async def _consumers_of(self, stream: str) -> dict[str, Config]:
        if stream not in self._consumers:
            found: dict[str, Config] = {}
            while True:
                page = await self._connection.api(f"CONSUMER.LIST.{stream}", {"offset": len(found)})
                listed: list[dict[str, Any]] = page.get("consumers") or []
                found |= {each["name"]: each["config"] for each in listed}
                if not listed or len(found) >= page.get("total", 0):
                    break
            self._consumers[stream] = found
        return self._consumers[stream]

    # --- who owns what --------------------------------------------------------------------------------

    async def owners(self, shards: int) -> dict[int, int]:
        """Each shard's owner, named by its first epoch; one that nobody has owned is left out."""
        found = {}
        for shard in range(shards):
            epoch = self._names.state_subjects(shard).epoch
            last = await self._connection.last(self._names.state(shard), epoch)
            if last is not None:
                found[shard] = first_epoch(last)
        return found

    # --- PLANS ----------------------------------------------------------------------------------------

    async def read_plans(self) -> Mapping[str, bytes]:
        """The bucket's entries; nothing where there is no bucket yet."""
        if await self._connection.find(f"STREAM.INFO.KV_{self._names.bucket('PLANS')}") is None:
            return {}
        await self._plans.refresh()
        return self._plans.entries

    async def write_plans(self, wanted: Mapping[str, bytes]) -> bool:
        """Make the bucket say this, in this order, then remove the rest. Says whether it wrote."""
        doubted, there = await self._plans.make_sure(), self._plans.entries
        # What is in doubt is written again whatever it says: a change that comes late then finds another one.
        changed = [(key, value) for key, value in wanted.items() if there.get(key) != value or key in doubted]
        gone = [key for key in {**there, **dict.fromkeys(sorted(doubted))} if key not in wanted]
        # Content first, then what points to it: a reader never finds a pointer to nothing.
        for pointers in (False, True):
            some = [each for each in changed if each[0].startswith(CURRENT) == pointers]
            await together(lambda each: self._plans.put(*each), some, limit=TOGETHER)
        await together(self._plans.delete, gone, limit=TOGETHER)
        return bool(changed or gone)


def _persistence(config: Config) -> tuple[Any, Any]:
    """How a stream is kept: what JetStream lets be said once only."""
    return config.get("storage"), config.get("persist_mode") or "default"


class Bucket:
    """A KV bucket as it was last read; `refresh` reads what has changed since.

    It is written by compare-and-set, so that a change which a paused server passes on late is refused.
    """

    def __init__(self, connection: NatsConnection, bucket: str) -> None:
        self.entries: dict[str, bytes] = {}
        self._connection = connection
        self._bucket = bucket
        self._revisions: dict[str, int] = {}
        """The sequence of each key's last message, also of one that deletes it."""
        self._next = 1
        self._heard = False
        self._changed = False
        self._doubted: set[str] = set()
        """Keys whose last change has not been answered: nobody knows whether it was made."""

    @property
    def stream(self) -> str:
        """The stream behind it."""
        return f"KV_{self._bucket}"

    def start_again(self) -> None:
        """Forget what was read."""
        self.entries.clear()
        self._revisions.clear()
        self._next = 1

    async def make_sure(self) -> frozenset[str]:
        """Read everything again if there is doubt about anything; the keys that are in doubt until they are
        written again."""
        if self._doubted:
            self.start_again()
            await self.refresh()
        return frozenset(self._doubted)

    async def listen(self, changed: Callable[[], None]) -> None:
        """Call `changed` when somebody writes; a wake-up can be lost, so look now and then all the same."""
        if self._heard:
            return

        async def wake(_: Msg) -> None:
            changed()

        await self._connection.subscribe(f"$KV.{self._bucket}.>", wake)
        self._heard = True

    async def refresh(self) -> bool:
        """Read what has changed; says whether anything has since this was last said."""
        while True:
            page = await self._connection.page(self._bucket, self._next)
            for key, value, sequence in page.entries:
                self._revisions[key] = sequence
                if value is None:
                    self.entries.pop(key, None)
                else:
                    self.entries[key] = value
            # Kept when the next page can't be read: what has been read will not come again.
            self._changed = self._changed or bool(page.entries)
            if page.following == self._next:
                changed, self._changed = self._changed, False
                return changed
            self._next = page.following

    async def put(self, key: str, value: bytes) -> None:
        """Write one entry."""
        await self._write(key, value)
        self.entries[key] = value

    async def delete(self, key: str) -> None:
        """Mark one entry deleted."""
        await self._write(key, b"", {"KV-Operation": "DEL"})
        self.entries.pop(key, None)

    async def _write(self, key: str, value: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        self._doubted.add(key)
        over = {**headers, "Nats-Expected-Last-Subject-Sequence": str(self._revisions.get(key, 0))}
        answer = checked(await self._connection.request(f"$KV.{self._bucket}.{key}", value, over))
        self._revisions[key] = int(answer["seq"])
        self._doubted.discard(key)
