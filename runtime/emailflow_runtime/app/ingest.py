"""Ingest: the one way into the log for every receiver. Checks the contract, finds the contact, appends.

Events that arrive together share one commit, so that durable does not mean slow. What it accepts is on
disk; what it can't place at once it refuses at once, so that memory stays bounded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.contracts import ContractBroken, Contracts, UnknownType
from emailflow_runtime.app.stores import Aliases, DeadLetter, DeadLetters, EventLog, LogEntry
from emailflow_runtime.core.cloudevents.errors import TooLarge
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import shard_of
from emailflow_runtime.core.publication import PREFIX
from emailflow_runtime.errors import EmailFlowError, InvalidEvent, Overloaded, Unavailable

FULL = 0.9
"""Share of the log's bound from which receivers take nothing more: the rest is the relay's."""
LOOK_EVERY = 1.0
MAX_WAITING = 20_000
MAX_BATCH = 500
MAX_BYTES = 4 << 20
ENVELOPE = 65_536
"""Bytes that the headers of a message may take: what JetStream takes, and more than all attributes may."""
GROUPS_AHEAD = 1
"""Groups that wait for the one that is being written."""
RECEIVER = "_receiver"

log = logging.getLogger(__name__)


class ReservedType(InvalidEvent):
    """Only EmailFlow itself says what EmailFlow did."""

    reason = "ReservedType"


class _Waiting(NamedTuple):
    event: CloudEvent
    keys: tuple[str, ...]
    """Those that its contact's identifiers would have on their own: hashes, made once."""
    accepted: asyncio.Future[None]


class _Placed(NamedTuple):
    """A group whose contacts are known."""

    waiting: Sequence[_Waiting]
    entries: Sequence[LogEntry]


class LogIngest:
    """The port Ingest over the log. `run` has to be running."""

    def __init__(self, catalog: Catalog, log_: EventLog, aliases: Aliases, dead_letters: DeadLetters) -> None:
        self._catalog = catalog
        self._log = log_
        self._aliases = aliases
        self._dead_letters = dead_letters
        self._contracts = Contracts()
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._full = False

    async def accept(self, event: CloudEvent) -> None:
        """See Ingest."""
        if event.type.startswith(PREFIX):
            raise ReservedType(f"type: {PREFIX}* is what EmailFlow itself says, expected a type of your own")
        if (size := len(event.data or b"")) + ENVELOPE > self._log.largest:
            # NATS would take less, and cut the connection that everything here shares.
            raise TooLarge(f"data: expected at most {self._log.largest - ENVELOPE} bytes, got {size}")
        try:
            broken = self._broken(event)
            keys = () if broken else self._catalog.mapping(event.type).identify(event).keys
        finally:
            # One event at a time is parsed, however many wait.
            event.forget_value()
        if broken:
            await self._dead_letters.keep(DeadLetter(ContractBroken.reason, broken, RECEIVER, event))
            return
        if self._full:
            raise Unavailable("the log is full", retry_after=30)
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded("too many events are waiting to be stored")
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(event, keys, accepted))
        self._wake.set()
        await accepted

    def _broken(self, event: CloudEvent) -> str:
        """What makes it a dead letter, by its EventType; empty: nothing. Raises InvalidEvent for `Reject`."""
        plan = self._catalog.event_type(event.type)
        if plan is None:
            if self._catalog.plans.runtime.unknown_types == "Reject":
                raise UnknownType("type: there is no EventType for it")
            return ""
        broken = self._contracts.of(plan).broken_by(event)
        if not broken or plan.on_invalid == "Accept":
            return ""
        if plan.on_invalid == "Reject":
            raise ContractBroken(f"{broken} of EventType {plan.name}")
        return broken

    async def run(self) -> None:
        """Store what is waiting, in groups, until cancelled.

        While one group is being written, whom the next one is about is looked up.
        """
        placed: asyncio.Queue[_Placed] = asyncio.Queue(GROUPS_AHEAD)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._place_groups(placed))
            group.create_task(self._append_groups(placed))
            group.create_task(self._watch_space())

    async def _watch_space(self) -> None:
        while True:
            try:
                self._full = await self._log.fill() >= FULL
            except Unavailable as away:
                log.info("the log can't be asked how full it is: %s", away)
            await asyncio.sleep(LOOK_EVERY)

    async def _place_groups(self, placed: "asyncio.Queue[_Placed]") -> None:
        while True:
            await self._wake.wait()
            group = self._next_group()
            if not self._waiting:
                self._wake.clear()
            # Whoever has gone meanwhile was told nothing, so nothing need be stored.
            group = [each for each in group if not each.accepted.done()]
            if not group:
                continue
            try:
                entries = await self._entries(group)
            except Exception as error:  # noqa: BLE001 - whatever it is, the events behind it go on
                _refuse(group, error)
            else:
                await placed.put(_Placed(group, entries))

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < MAX_BATCH and size < MAX_BYTES:
            group.append(self._waiting.popleft())
            size += len(group[-1].event.data or b"")
        return group

    async def _append_groups(self, placed: "asyncio.Queue[_Placed]") -> None:
        while True:
            groups = [await placed.get()]
            while not placed.empty():
                groups.append(placed.get_nowait())
            stored = [each for group in groups for each in group.waiting]
            try:
                await self._log.append([entry for group in groups for entry in group.entries])
            except Exception as error:  # noqa: BLE001 - as above
                _refuse(stored, error)
                continue
            for each in stored:
                if not each.accepted.done():
                    each.accepted.set_result(None)

    async def _entries(self, group: Sequence[_Waiting]) -> list[LogEntry]:
        shards = self._catalog.plans.runtime.shards
        keys = await self._contact_keys([each.keys for each in group])
        return [
            LogEntry(each.event, key, shard_of(key, shards) if key else 0)
            for each, key in zip(group, keys, strict=True)
        ]

    async def _contact_keys(self, group: Sequence[tuple[str, ...]]) -> list[str]:
        """The key of each contact. Every identifier leads to one from here on (DESIGN section 3, Contact)."""
        known = dict(await self._aliases.lookup(key for each in group for key in each))
        keys, new = [], {}
        for each in group:
            key = _key_of(each, known)
            keys.append(key)
            fresh = {identifier: key for identifier in each if identifier not in known}
            new.update(fresh)
            known.update(fresh)
        if new:
            claimed = await self._aliases.claim(new)
            if claimed != new:
                # Another receiver met the same new contact at this moment; its word stands.
                return [_key_of(each, {**known, **claimed}) for each in group]
        return keys


def _refuse(group: Sequence[_Waiting], error: Exception) -> None:
    """Tell the senders that nothing of this is sure to be stored."""
    failure = error
    if not isinstance(error, EmailFlowError):
        log.error("ingest failed", exc_info=error)
        failure = Unavailable("the event could not be stored")
    for each in group:
        if not each.accepted.done():
            each.accepted.set_exception(failure)


def _key_of(identifiers: Sequence[str], known: Mapping[str, str]) -> str:
    """The contact's key: where its first known identifier leads, else its first identifier's own."""
    found = (known[each] for each in identifiers if each in known)
    return next(found, identifiers[0] if identifiers else "")
