"""The mails that a shard has to see to: so many at once, others by name, and beyond that in STATE alone.

A mail that is seen to takes a task, and what was made of it; what a flow asks for knows no bound. So memory
is bounded here, and each provider has places of its own: the mails of one that is slow, or that nobody has
released yet, take none of another's. It never looks into a mail.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import islice

from emailflow_api.plans import Plans
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.held import Held
from emailflow_runtime.app.needs import Needs, Place
from emailflow_runtime.app.stores import EnrolmentKey
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.core.journey import Journey
from emailflow_runtime.errors import EmailFlowError

PLACES = 1024
"""Mails of one provider that are seen to at once. More than a lane lets in (`lanes.AHEAD` times a provider's
concurrency, mostly), so that some are ready when it has room."""
NAMES = 20_000
"""Mails of one provider that wait by name, some 300 bytes each; and of all that are held."""
AT_ONCE = 128
"""Mails whose records are read together when their turn has come."""
RETRY_AFTER = 1.0

Begin = Callable[[EnrolmentKey, str, str], bool]
"""Enrolment, mail, provider; whether it was begun, and is not under way already."""
Search = Callable[[], AsyncIterator[tuple[EnrolmentKey, SendMail, bool]]]
"""Gives every mail that waits by what STATE says, and is not under way, in order; and whether it is held for
something that is not there, and not given up yet."""

log = logging.getLogger(__name__)

_Names = dict[str, tuple[EnrolmentKey, Place]]
"""By mail, in order."""


class _Line:
    """Who waits for one provider. `more`: there are others, which only STATE knows."""

    def __init__(self) -> None:
        self.names: _Names = {}
        self.more = False
        self.taken = 0
        self.moving: asyncio.Task[None] | None = None
        self.room = asyncio.Event()


class Backlog:
    """One for each shard. `begin` is to see to a mail, and tells `done` of its end."""

    def __init__(self, desk: Desk, needs: Needs, begin: Begin, search: Search) -> None:
        self._desk = desk
        self._needs = needs
        self._begin = begin
        self._search = search
        self._searching = asyncio.Lock()
        self._lines: dict[str, _Line] = {}
        self._held = Held(needs)
        self._watching: asyncio.Task[None] | None = None
        self._held_anew = asyncio.Event()
        self._stopped = False

    def put(self, key: EnrolmentKey, command: SendMail) -> None:
        """Have a mail seen to at once, or when its turn comes."""
        entry = self._desk.known(key)
        journey = entry.enrolment.journeys.get(command.instance) if entry is not None else None
        place = _place(key, journey)
        # What is not there is for the mail's own record to say, once.
        if self._needs.is_suspended(place):
            self._hold(key, command.mail, place)
        else:
            self._put(key, command.mail, place)

    def hold(self, key: EnrolmentKey, mail: str) -> None:
        """Let a mail wait, without a place, until nothing is suspended and all that it needs is there."""
        entry = self._desk.known(key)
        journeys = entry.enrolment.journeys.values() if entry is not None else ()
        standing = (each for each in journeys if each.mail is not None and each.mail.id == mail)
        self._hold(key, mail, _place(key, next(standing, None)))

    def _hold(self, key: EnrolmentKey, mail: str, place: Place) -> None:
        if self._stopped:
            return
        if self._held.add(place, mail, key, most=NAMES):
            self._held_anew.set()
        self._watch()

    def _put(self, key: EnrolmentKey, mail: str, place: Place) -> None:
        if self._stopped:
            return
        provider = self._needs.provider_of(place)
        line = self._lines.setdefault(provider, _Line())
        if line.taken < PLACES and line.moving is None:
            line.taken += self._begin(key, mail, provider)
        elif line.more or len(line.names) >= NAMES:
            line.more = True
        else:
            line.names[mail] = key, place
        self._move_up(provider, line)

    def done(self, provider: str) -> None:
        """A mail to this provider is seen to, or waits for something else."""
        line = self._lines[provider]
        line.taken -= 1
        line.room.set()
        self._move_up(provider, line)

    def stop(self) -> None:
        """Begin nothing more: what waits stays as it stands in STATE."""
        self._stopped = True
        if self._watching is not None:
            self._watching.cancel()
        for line in self._lines.values():
            line.names.clear()
            if line.moving is not None:
                line.moving.cancel()

    # --- plans that change --------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watching is None:
            self._watching = asyncio.create_task(self._follow_plans())

    async def _follow_plans(self) -> None:
        """Release what is held, and send by another provider what waits, as plans and Secrets change; as long
        as anything waits."""
        plans, soon = self._needs.plans, True
        try:
            while self._held or any(line.moving is not None for line in self._lines.values()):
                await self._next_change(plans, soon=soon)
                soon = self._held_anew.is_set()
                self._held_anew.clear()
                if soon and plans is self._needs.plans:
                    # Looked at a moment later: what is held for no reason that is seen must spin no loop.
                    continue
                self._release()
                if plans is not self._needs.plans:
                    plans = self._needs.plans
                    self._reroute(plans)
        finally:
            self._watching = None

    async def _next_change(self, plans: Plans, *, soon: bool) -> None:
        """Return when the plans are others, when something is held that was not, or when it is time to look
        again: nobody tells of Secrets."""
        changes = [
            asyncio.create_task(self._needs.differ_from(plans)),
            asyncio.create_task(self._held_anew.wait()),
        ]
        pause = RETRY_AFTER if soon or self._held.for_secrets else None
        try:
            await asyncio.wait(changes, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in changes:
                each.cancel()

    def _release(self) -> None:
        for released in self._held.released():
            for mail, key in released.names.items():
                self._put(key, mail, released.place)
            if released.more:
                # There are more than names were kept of.
                self._read_more([self._needs.provider_of(released.place)])

    def _reroute(self, plans: Plans) -> None:
        """What waits for a provider, though by now it goes by another, waits for that one."""
        for provider, line in list(self._lines.items()):
            moved = {
                mail: waiting
                for mail, waiting in line.names.items()
                if self._needs.provider_of(waiting[1]) != provider
            }
            for mail, (key, place) in moved.items():
                del line.names[mail]
                self._put(key, mail, place)
        if any(line.more for line in self._lines.values()):
            self._read_more(plans.providers)

    def _read_more(self, providers: Iterable[str]) -> None:
        for provider in providers:
            line = self._lines.setdefault(provider, _Line())
            line.more = True
            self._move_up(provider, line)

    # --- those that wait ----------------------------------------------------------------------------

    def _move_up(self, provider: str, line: _Line) -> None:
        if line.moving is None and (line.names or line.more) and not self._stopped:
            line.moving = asyncio.create_task(self._empty(provider, line))
            self._watch()

    async def _empty(self, provider: str, line: _Line) -> None:
        """Let them in as there is room, in order, until nobody waits."""
        try:
            while line.names or line.more:
                if not line.names:
                    await self._find(line)
                await self._room(line)
                await self._let_in(provider, line)
        finally:
            line.moving = None

    async def _room(self, line: _Line) -> None:
        """Wait until some can be let in together."""
        while line.taken > PLACES - AT_ONCE:
            line.room.clear()
            await line.room.wait()

    async def _let_in(self, provider: str, line: _Line) -> None:
        some = list(islice(line.names.items(), AT_ONCE))
        try:
            await self._desk.recall([key for _, (key, _) in some])
        except EmailFlowError as away:
            log.warning("waiting mails can't be read: %s", away)
            await asyncio.sleep(RETRY_AFTER)
            return
        for mail, (key, _) in some:
            # Meanwhile it may have been sent another way.
            if line.names.pop(mail, None) is not None:
                line.taken += self._begin(key, mail, provider)

    async def _find(self, line: _Line) -> None:
        """Read names from STATE for this line, and for all others that need some: reading takes long. Those
        that are put meanwhile may not be among them."""
        async with self._searching:
            if line.names or not line.more:
                return
            wanted = {provider: each for provider, each in self._lines.items() if each.more}
            for each in wanted.values():
                each.more = False
            try:
                await self._read_names(wanted)
            except EmailFlowError as away:
                log.warning("waiting mails can't be read: %s", away)
                for each in wanted.values():
                    each.more = True
                await asyncio.sleep(RETRY_AFTER)

    async def _read_names(self, wanted: dict[str, _Line]) -> None:
        found: dict[str, _Names] = {provider: {} for provider in wanted}
        full: set[str] = set()
        async for key, command, waits in self._search():
            entry = self._desk.known(key)
            journey = entry.enrolment.journeys.get(command.instance) if entry is not None else None
            place = _place(key, journey)
            provider = self._needs.provider_of(place)
            if provider not in found or provider in full:
                continue
            if self._held.keeps(place, waits=waits):
                self._hold(key, command.mail, place)
            elif len(found[provider]) < NAMES:
                found[provider][command.mail] = key, place
            else:
                wanted[provider].more = True
                full.add(provider)
                if len(full) == len(found):
                    break
        for provider, line in wanted.items():
            line.names = {**found[provider], **line.names}
            self._move_up(provider, line)


def _place(key: EnrolmentKey, journey: Journey | None) -> Place:
    """Where a journey stands, as far as memory tells."""
    if journey is None or journey.mail is None:
        return Place(key[0], "", "")
    return Place(key[0], journey.revision, journey.mail.step)
