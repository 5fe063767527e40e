"""What following a mail's link does: it becomes an event, and readers of the log take it from there.

An unsubscription is appended like any event; nothing here writes consent.
"""

import msgspec

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import EventLog, LogEntry
from emailflow_runtime.core.consent import unsubscription
from emailflow_runtime.core.identity import shard_of
from emailflow_runtime.core.links import DAYS, UNSUBSCRIBE, Keyring, Link
from emailflow_runtime.core.publication import rfc3339
from emailflow_runtime.errors import LinkExpired, WrongPurpose


class MailLinks:
    """Reads links and carries them out."""

    def __init__(self, keyring: Keyring, catalog: Catalog, log: EventLog, clock: Clock) -> None:
        self._keyring = keyring
        self._catalog = catalog
        self._log = log
        self._clock = clock

    def read(self, token: str) -> Link | None:
        """The link of a token, None when it isn't one of ours. Raises LinkExpired."""
        link = self._keyring.read(token)
        if link is not None and link.has_expired(self._clock.now()):
            raise LinkExpired(f"a link to {link.purpose} is good for {DAYS.get(link.purpose)} days")
        return link

    def to_unsubscribe(self, link: Link) -> str:
        """The token of the link that unsubscribes whom another one is about."""
        return self._keyring.sign(msgspec.structs.replace(link, purpose=UNSUBSCRIBE))

    async def unsubscribe(self, link: Link) -> None:
        """Return when the unsubscription is on disk. Nothing is asked but the link: policy, flow and template
        may be gone. Raises WrongPurpose for a link to something else, Unavailable."""
        if link.purpose != UNSUBSCRIBE:
            raise WrongPurpose(f"a link to {link.purpose} unsubscribes nobody")
        runtime = self._catalog.plans.runtime
        event = unsubscription(link, runtime=runtime.id, time=rfc3339(self._clock.now()))
        await self._log.append([LogEntry(event, link.contact, shard_of(link.contact, runtime.shards))])
