"""ALIASES: from every later identifier of a contact to its key, created once and never changed."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from emailflow_runtime.adapters.jetstream.batch import Message, publish_all
from emailflow_runtime.adapters.jetstream.connection import EPOCH_LOST, Connection, JetStreamError
from emailflow_runtime.errors import Unavailable

CAPACITY = 100_000
AT_ONCE = 500


class AliasBucket:
    """The port Aliases on a KV bucket. An alias never changes, so what was found once is remembered."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._known: OrderedDict[str, str] = OrderedDict()

    async def lookup(self, identifiers: Iterable[str]) -> Mapping[str, str]:
        """See Aliases. Raises Unavailable."""
        wanted = list(dict.fromkeys(identifiers))
        unknown = [each for each in wanted if each not in self._known]
        for start in range(0, len(unknown), AT_ONCE):
            subjects = [f"{self._prefix}{each}" for each in unknown[start : start + AT_ONCE]]
            body = {"multi_last": subjects}
            async for found in self._connection.direct_get_many(self._stream, body):
                subject = (found.headers or {})["Nats-Subject"]
                self._remember(subject.removeprefix(self._prefix), found.data.decode())
        return {each: self._known[each] for each in wanted if each in self._known}

    async def claim(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """See Aliases. Raises Unavailable."""
        left = dict(wanted)
        while left:
            try:
                await publish_all(self._connection, [self._create(*alias) for alias in left.items()])
                for alias in left.items():
                    self._remember(*alias)
                left = {}
            except JetStreamError as refused:
                if refused.code != EPOCH_LOST:
                    raise Unavailable(f"ALIASES takes nothing: {refused}") from refused
                # At least one exists: somebody else was faster. What is left then is tried again.
                found = await self.lookup(left)
                left = {identifier: key for identifier, key in left.items() if identifier not in found}
        return {identifier: self._known[identifier] for identifier in wanted}

    def _create(self, identifier: str, key: str) -> Message:
        absent = {"Nats-Expected-Last-Subject-Sequence": "0"}
        return Message(f"{self._prefix}{identifier}", key.encode(), absent)

    def _remember(self, identifier: str, key: str) -> None:
        self._known[identifier] = key
        while len(self._known) > CAPACITY:
            self._known.popitem(last=False)
