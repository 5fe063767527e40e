"""What the machinery tells whoever watches it: metrics and traces. Watching never changes what is done.

Journeys are told of by their facts, which carry their own moments; everything else is measured around the
ports. Nothing that names a person leaves by here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from emailflow_runtime.core.facts import Fact
from emailflow_runtime.core.journey import Journey


class Telemetry(Protocol):
    """A watcher. Its methods return at once and never raise."""

    def folded(self, before: Journey | None, after: Journey, fact: Fact) -> None:
        """This fact has been decided: the journey before it (None: none was there), and after it."""

    def owned(self, shard: int, *, held: bool) -> None:
        """This process decides for the shard from now on, or no longer."""

    def taken_over(self, shard: int, *, clean: bool, seconds: float) -> None:
        """It has become the shard's owner, so many seconds after it took the epoch; `clean`: the owner
        before had ended in good order."""

    def lost(self, shard: int) -> None:
        """The shard that it decided for is somebody else's."""

    def relaying(self, shard: int, backlog: Callable[[], int]) -> None:
        """How to ask for the number of facts of a shard that are not in EVENTS yet."""

    def holding(self, shard: int, held: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """How to ask for the mails of a shard that wait for something that is not there, by flow (id) and
        reason, as long as the shard is owned."""


class Silence:
    """Watches nothing."""

    def folded(self, before: Journey | None, after: Journey, fact: Fact) -> None:
        """See Telemetry."""

    def owned(self, shard: int, *, held: bool) -> None:
        """See Telemetry."""

    def taken_over(self, shard: int, *, clean: bool, seconds: float) -> None:
        """See Telemetry."""

    def lost(self, shard: int) -> None:
        """See Telemetry."""

    def relaying(self, shard: int, backlog: Callable[[], int]) -> None:
        """See Telemetry."""

    def holding(self, shard: int, held: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """See Telemetry."""


class Several:
    """Tells each of these."""

    def __init__(self, watchers: Sequence[Telemetry]) -> None:
        self._watchers = tuple(watchers)

    def folded(self, before: Journey | None, after: Journey, fact: Fact) -> None:
        """See Telemetry."""
        for each in self._watchers:
            each.folded(before, after, fact)

    def owned(self, shard: int, *, held: bool) -> None:
        """See Telemetry."""
        for each in self._watchers:
            each.owned(shard, held=held)

    def taken_over(self, shard: int, *, clean: bool, seconds: float) -> None:
        """See Telemetry."""
        for each in self._watchers:
            each.taken_over(shard, clean=clean, seconds=seconds)

    def lost(self, shard: int) -> None:
        """See Telemetry."""
        for each in self._watchers:
            each.lost(shard)

    def holding(self, shard: int, held: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """See Telemetry."""
        for each in self._watchers:
            each.holding(shard, held)

    def relaying(self, shard: int, backlog: Callable[[], int]) -> None:
        """See Telemetry."""
        for each in self._watchers:
            each.relaying(shard, backlog)


SILENCE = Silence()
