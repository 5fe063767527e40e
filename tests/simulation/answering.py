"""The port StateStore where nats-server's bounds count: STATE as messages, read by the shipped adapter.

The server gives a bounded number of messages for one question, and takes messages up to a size only; more
than that would end the connection. What it took anyway is noted for the oracles.
"""

from tests.simulation import limits
from tests.simulation.operating import NAMES

from emailflow_runtime.adapters.jetstream.connection import TooMany
from emailflow_runtime.adapters.jetstream.state_messages import message
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.adapters.jetstream.wire import Arrived
from emailflow_runtime.app.stores import PutRecord
from emailflow_runtime.errors import MessageTooLarge

SUBJECTS = NAMES.state_subjects(0)
GUARD = 200
"""Bytes that the headers of a guarded message may have besides its own."""
PAGE = 10
"""Subjects that STREAM.INFO tells at once (100,000)."""


class Server:
    """What JetStreamStateStore asks of a Connection."""

    def __init__(self, state, network):
        self._state = state
        self._network = network

    async def direct_get_many(self, stream, body, *, known=0):
        await self._network.insist("direct get", lambda: None)
        found = [each for pattern in body["multi_last"] for each in self._matching(pattern)]
        if len(found) > limits.ANSWER:
            self._network.answers["too many"] += 1
            raise TooMany("more messages match than one request may get")
        await self._network.insist("direct got", lambda: None)
        for subject, data, sequence in found:
            headers = {"Nats-Subject": subject, "Nats-Sequence": str(sequence)}
            yield Arrived("", "", headers, data)

    async def api(self, subject, body):
        await self._network.insist("subjects", lambda: None)
        self._network.answers["subjects"] += 1
        names = sorted(name for name, _, _ in self._matching(body["subjects_filter"]))
        page = names[body["offset"] :][:PAGE]
        return {"state": {"subjects": dict.fromkeys(page, 1)}, "total": len(names)}

    def _matching(self, pattern):
        kind, *place = pattern.removeprefix(f"{SUBJECTS.prefix}.").split(".")
        every = place[-1] == "*"
        found = self._state.records_of(*place[:-1]) if every else [self._state.get(kind, *place)]
        return [self._stored(each) for each in found if each is not None]

    def _stored(self, change):
        made = message(SUBJECTS, change)
        key = tuple(made.subject.removeprefix(f"{SUBJECTS.prefix}.").split("."))
        return made.subject, made.data, self._state.sequence(*key)


class Reader(JetStreamStateStore):
    """The reading half of the adapter."""

    def __init__(self, server):
        super().__init__(server, NAMES, 0)


class Paged:
    """What is different of the port StateStore there."""

    reader = Reader

    def __init__(self, state, network):
        super().__init__(state, network)
        self.largest = limits.LARGEST
        self._reader = self.reader(Server(state, network))

    async def commit(self, changes):
        self.check([_size(each) for each in changes])
        return await super().commit(changes)

    def check(self, sizes):
        """As the adapter does, before anything is sent."""
        if max(sizes) > self.largest:
            raise MessageTooLarge(f"expected at most {self.largest} bytes, got {max(sizes)}")

    def _store(self, changes, epoch=None):
        for change in changes:
            self._network.take_size(_size(change), limits.LARGEST, type(change).__name__)
        last = super()._store(changes, epoch)
        self._network.look()
        return last

    async def enrolments(self, keys):
        return await self._reader.enrolments(list(keys))

    async def records(self, places):
        return await self._reader.records(list(places))

    async def contacts(self, keys):
        return await self._reader.contacts(list(keys))


def _size(change):
    """Bytes of the message that it becomes; small ones are not worth the encoding."""
    if isinstance(change, PutRecord) and change.weight < limits.LARGEST // 8:
        return change.weight
    made = message(SUBJECTS, change)
    return len(made.data) + sum(len(name) + len(value) + 4 for name, value in made.headers.items()) + GUARD
