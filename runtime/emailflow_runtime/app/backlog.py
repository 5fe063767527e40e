"""The mails that a shard has to see to: so many at once, others by name, and beyond that in STATE alone.

A mail that is seen to takes a task, and what was made of it; what a flow asks for knows no bound. So memory
is bounded here, and each provider has places of its own: the mails of one that is slow, or that nobody has
released yet, take none of another's. It never looks into a mail.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from itertools import islice

from emailflow_api.plans import Send
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.stores import EnrolmentKey
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.errors import EmailFlowError

PLACES = 1024
"""Mails of one provider that are seen to at once. More than a lane lets in (`lanes.AHEAD` times a provider's
concurrency, mostly), so that some are ready when it has room."""
NAMES = 20_000
"""Mails of one provider that wait by name, some 300 bytes each."""
AT_ONCE = 128
"""Mails whose records are read together when their turn has come."""
RETRY_AFTER = 1.0

Begin = Callable[[EnrolmentKey, str, str], bool]
"""Enrolment, mail, provider; whether it was begun, and is not under way already."""
Search = Callable[[], AsyncIterator[tuple[EnrolmentKey, SendMail]]]
"""Gives every mail that is due by what STATE says, and not under way, in order."""

log = logging.getLogger(__name__)


class _Line:
    """Who waits for one provider. `more`: there are others, which only STATE knows."""

    def __init__(self) -> None:
        self.names: dict[str, EnrolmentKey] = {}
        self.more = False
        self.taken = 0
        self.moving: asyncio.Task[None] | None = None
        self.room = asyncio.Event()


class Backlog:
    """One for each shard. `begin` is to see to a mail, and tells `done` of its end."""

    def __init__(self, desk: Desk, catalog: Catalog, begin: Begin, search: Search) -> None:
        self._desk = desk
        self._catalog = catalog
        self._begin = begin
        self._search = search
        self._lines: dict[str, _Line] = {}
        self._held: dict[tuple[str, str], dict[str, EnrolmentKey]] = {}
        """By flow and provider, the mails that wait until neither is suspended."""
        self._releasing: set[asyncio.Task[None]] = set()
        self._stopped = False

    def put(self, key: EnrolmentKey, command: SendMail) -> None:
        """Have a mail seen to at once, or when its turn comes."""
        provider = self._provider_of(key, command.instance)
        if self._catalog.is_suspended(key[0], provider):
            self.hold(key, command.mail, provider)
        else:
            self._put(key, command.mail, provider)

    def hold(self, key: EnrolmentKey, mail: str, provider: str) -> None:
        """Let a mail wait, without a place, until neither its flow nor its provider is suspended."""
        place = key[0], provider
        if self._stopped:
            return
        if place not in self._held:
            self._held[place] = {}
            task = asyncio.create_task(self._release(*place))
            self._releasing.add(task)
            task.add_done_callback(self._releasing.discard)
        if len(self._held[place]) < NAMES:
            self._held[place][mail] = key

    async def _release(self, flow: str, provider: str) -> None:
        await self._catalog.until_released(flow, provider)
        held = self._held.pop((flow, provider))
        for mail, key in held.items():
            self._put(key, mail, provider)
        if len(held) >= NAMES:
            # There may be more than names were kept of.
            line = self._lines[provider]
            line.more = True
            self._move_up(provider, line)

    def _put(self, key: EnrolmentKey, mail: str, provider: str) -> None:
        if self._stopped:
            return
        line = self._lines.setdefault(provider, _Line())
        if line.taken < PLACES and line.moving is None:
            line.taken += self._begin(key, mail, provider)
        elif line.more or len(line.names) >= NAMES:
            line.more = True
        else:
            line.names[mail] = key
        self._move_up(provider, line)

    def _provider_of(self, key: EnrolmentKey, instance: str) -> str:
        """The provider of the mail that a journey stands at, as far as memory tells."""
        flow, entry = self._catalog.flow(key[0]), self._desk.known(key)
        journey = entry.enrolment.journeys.get(instance) if entry is not None else None
        if flow is None or journey is None or journey.mail is None:
            return ""
        program = self._catalog.programs.get(journey.revision) or self._catalog.programs[flow.revision]
        step = program.step(journey.mail.step)
        return self._catalog.provider_name(step, flow) if isinstance(step, Send) else ""

    def done(self, provider: str) -> None:
        """A mail to this provider is seen to, or waits for something else."""
        line = self._lines[provider]
        line.taken -= 1
        line.room.set()
        self._move_up(provider, line)

    def stop(self) -> None:
        """Begin nothing more: what waits stays as it stands in STATE."""
        self._stopped = True
        for task in self._releasing:
            task.cancel()
        for line in self._lines.values():
            line.names.clear()
            if line.moving is not None:
                line.moving.cancel()

    def _move_up(self, provider: str, line: _Line) -> None:
        if line.moving is None and (line.names or line.more) and not self._stopped:
            line.moving = asyncio.create_task(self._empty(provider, line))

    async def _empty(self, provider: str, line: _Line) -> None:
        """Let them in as there is room, in order, until nobody waits."""
        try:
            while line.names or line.more:
                if not line.names:
                    await self._find(provider, line)
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
        mails = list(islice(line.names, AT_ONCE))
        keys = [line.names[mail] for mail in mails]
        await self._desk.recall(keys)
        for mail in mails:
            line.taken += self._begin(line.names.pop(mail), mail, provider)

    async def _find(self, provider: str, line: _Line) -> None:
        """Read names from STATE. Those that are put meanwhile may not be among them."""
        line.more = False
        found: dict[str, EnrolmentKey] = {}
        try:
            async for key, command in self._search():
                if self._provider_of(key, command.instance) != provider:
                    continue
                if len(found) >= NAMES:
                    line.more = True
                    break
                found[command.mail] = key
            line.names = {**found, **line.names}
        except EmailFlowError as away:
            log.info("waiting mails can't be read: %s", away)
            line.more = True
            await asyncio.sleep(RETRY_AFTER)
