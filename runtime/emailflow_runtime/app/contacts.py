"""The contacts of one shard, and their reader: it alone writes what events say about people.

Flows wait until it has passed the event that they are about to decide on, so that a decision sees what
its own event said.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.inhand import POISONED, OneByOne
from emailflow_runtime.app.portions import portions
from emailflow_runtime.app.progress import Reading
from emailflow_runtime.app.stores import (
    Consents,
    DeadLetter,
    DeadLetters,
    Delivered,
    DeliveredEvent,
    Feed,
    PutContact,
    StateStore,
)
from emailflow_runtime.app.writer import Writer
from emailflow_runtime.core.consent import Said, read_consent
from emailflow_runtime.core.contact import Contact, contact_weight
from emailflow_runtime.core.identity import event_hash
from emailflow_runtime.core.publication import PREFIX
from emailflow_runtime.errors import EpochLost, RecordUnreadable, Unavailable

BYTES = 32 << 20
"""What the contacts of a shard may take in memory together, apart from those that are being written."""
EXPANDED = 8
"""Traits take so much more in memory than in a message."""
PASSED_OVER = 8
"""Contacts that are being written which one look for others meets."""

log = logging.getLogger(__name__)


class Contacts:
    """A bounded cache of contacts over STATE."""

    def __init__(self, store: StateStore, writer: Writer, most: int = BYTES) -> None:
        self._store = store
        self._writer = writer
        self._most = most
        self._bytes = 0
        self._weights: dict[str, int] = {}
        self._known: OrderedDict[str, Contact] = OrderedDict()
        self._writing: dict[str, int] = {}

    async def load(self, keys: Iterable[str]) -> None:
        """Bring these into memory, in one go. What can't be read isn't there afterwards: `fetch` it."""
        await self._load([key for key in dict.fromkeys(keys) if key not in self._known])

    async def _load(self, keys: Sequence[str]) -> dict[str, RecordUnreadable]:
        """Load; what can't be read."""
        unreadable: dict[str, RecordUnreadable] = {}
        if not keys:
            return unreadable
        async for some, found in portions(self._store.contacts, keys):
            for key in some:
                contact = found.get(key)
                if isinstance(contact, RecordUnreadable):
                    unreadable[key] = contact
                elif key not in self._known:
                    # Else somebody has put a newer one there meanwhile.
                    known = self._known[key] = contact or Contact(key)
                    self._weigh(known, contact_weight(known))
        return unreadable

    async def fetch(self, key: str) -> Contact:
        """The contact, empty but for its key when nothing is known. Raises RecordUnreadable."""
        while (contact := self._known.get(key)) is None:
            if unreadable := await self._load((key,)):
                raise unreadable[key]
        self._known.move_to_end(key)
        return contact

    def known(self, key: str) -> Contact:
        """The contact as far as it is in memory; the caller has fetched it, and it is not evicted while it
        is used."""
        return self._known.get(key) or Contact(key)

    def put(self, contact: Contact) -> None:
        """Remember and store a contact."""
        self._known[contact.key] = contact
        self._writing[contact.key] = self._writing.get(contact.key, 0) + 1

        def stored(_: asyncio.Future[int]) -> None:
            self._writing[contact.key] -= 1
            if not self._writing[contact.key]:
                del self._writing[contact.key]
                self._evict("")

        put = PutContact(contact, contact_weight(contact))
        self._weigh(contact, put.weight)
        self._writer.submit((put,)).add_done_callback(stored)

    def _weigh(self, contact: Contact, weight: int) -> None:
        """Note what a contact costs now. When all cost too much, those go that were used longest ago."""
        cost = 600 + EXPANDED * weight
        self._bytes += cost - self._weights.get(contact.key, 0)
        self._weights[contact.key] = cost
        if self._bytes > self._most:
            self._evict(contact.key)

    def _evict(self, used: str) -> None:
        """As enrolments are let go of."""
        passed = 0
        while self._bytes > self._most and self._known and passed < PASSED_OVER:
            key = next(iter(self._known))
            if key in self._writing or key == used:
                self._known.move_to_end(key)
                passed += 1
            else:
                del self._known[key]
                self._bytes -= self._weights.pop(key)


class ContactReader:
    """Reads every event of the shard. `reading` tells how far."""

    def __init__(
        self,
        feed: Feed,
        contacts: Contacts,
        *,
        catalog: Catalog,
        writer: Writer,
        reading: Reading,
        consents: Consents,
        dead_letters: DeadLetters,
        one_by_one: OneByOne,
    ) -> None:
        self._feed = feed
        self._contacts = contacts
        self._catalog = catalog
        self._writer = writer
        self._reading = reading
        self._consents = consents
        self._dead_letters = dead_letters
        self._one_by_one = one_by_one
        self._acknowledging: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read until cancelled."""
        suspect = await self._one_by_one.limit(self._feed)
        # What the owner before has acknowledged is committed, so it counts as read although nothing came.
        self._reading.mark.advance((await self._feed.take_over()).floor)
        while True:
            batch = await self._feed.next_batch()
            events = [each for each in batch if isinstance(each, DeliveredEvent)]
            said_now = [each for each in events if each.redrive is None or not each.redrive.known]
            await self._contacts.load([each.contact for each in said_now if _about_somebody(each)])
            for each in said_now:
                alone = each.sequence <= suspect
                said = await (self._take_alone(each) if alone else self._take(each))
                if said is not None:
                    word, at, event = said.subscribed, each.at, event_hash(each.event)
                    await self._consents.put(said.address, said.topic, subscribed=word, at=at, event=event)
                each.event.forget_large()
            self._reading.note([(each.event.type, each.sequence) for each in events])
            task = asyncio.create_task(self._acknowledge(self._writer.barrier(), batch))
            self._acknowledging.add(task)
            task.add_done_callback(self._acknowledging.discard)

    async def _take_alone(self, delivered: DeliveredEvent) -> Said | None:
        name = f"{CONTACTS_CONSUMER} {delivered.sequence}"
        async with self._one_by_one.holding(name) as poison:
            if not poison:
                return await self._take(delivered)
        await self._dead(delivered, POISONED)
        return None

    async def _take(self, delivered: DeliveredEvent) -> Said | None:
        """Note what an event says of its contact; what it says of consent. One that can't be read is a dead
        letter: everything in the shard waits for this reader."""
        said: Said | None = None
        try:
            said = read_consent(delivered.event)
            if _about_somebody(delivered):
                await self._apply(delivered)
            return said
        except (EpochLost, Unavailable):
            raise
        except RecordUnreadable as broken:
            # Who can't be read still says what is said, above all that no mail is wanted.
            await self._dead(delivered, str(broken), broken.reason)
            return said
        except Exception as broken:
            log.exception("an event can't be read", extra={"reason": "PoisonInput"})
            await self._dead(delivered, f"{type(broken).__name__} while its contact was read")
            return None

    async def _dead(self, delivered: DeliveredEvent, message: str, reason: str = "PoisonInput") -> None:
        event, sequence = delivered.event, delivered.sequence
        letter = DeadLetter(reason, message, CONTACTS_CONSUMER, event, delivered.contact, sequence)
        await self._dead_letters.keep(letter)

    async def _apply(self, delivered: DeliveredEvent) -> None:
        before = await self._contacts.fetch(delivered.contact)
        mapping = self._catalog.mapping(delivered.event.type)
        refused: list[str] = []
        after = mapping.apply(before, delivered.event, delivered.sequence, refused.append)
        if after is not before:
            self._contacts.put(after)
        for message in refused:
            await self._dead(delivered, message, "TooLarge")

    async def _acknowledge(self, committed: asyncio.Future[int], batch: Sequence[Delivered]) -> None:
        await committed
        self._feed.acknowledge(batch)


def _about_somebody(delivered: DeliveredEvent) -> bool:
    """Whether mappings apply to it."""
    return bool(delivered.contact) and not delivered.event.type.startswith(PREFIX)
