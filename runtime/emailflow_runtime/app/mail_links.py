"""What following a mail's link does: it becomes an event, and readers of the log take it from there.

An unsubscription is appended like any event; nothing here writes consent.
"""

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import EventLog, LogEntry
from emailflow_runtime.core.consent import unsubscription
from emailflow_runtime.core.identity import shard_of
from emailflow_runtime.core.links import Keyring, Link
from emailflow_runtime.core.publication import rfc3339


class MailLinks:
    """Reads links and carries them out."""

    def __init__(self, keyring: Keyring, catalog: Catalog, log: EventLog, clock: Clock) -> None:
        self._keyring = keyring
        self._catalog = catalog
        self._log = log
        self._clock = clock

    def read(self, token: str) -> Link | None:
        """The link of a token, None when it isn't one of ours."""
        return self._keyring.read(token)

    async def unsubscribe(self, link: Link) -> None:
        """Return when the unsubscription is on disk. Raises Unavailable."""
        runtime = self._catalog.plans.runtime
        event = unsubscription(link, runtime=runtime.id, time=rfc3339(self._clock.now()))
        await self._log.append([LogEntry(event, link.contact, shard_of(link.contact, runtime.shards))])
