"""A provider's circuit breaker: when it is down, one mail now and then finds out whether it is back.

It judges by outcomes and by silence. It knows one provider and holds no mails; where they wait meanwhile is
not its business. Times are the event loop's, in seconds.
"""

import asyncio
import logging
from collections.abc import Callable

from emailflow_runtime.core.outcomes import Accepted, Deferred, Outcome, Refused, Unknown, by_provider

TRIP_AFTER = 3
"""Failures of the provider, with no success between them."""
STALLED_AFTER = 8.0
"""Seconds without an answer to anything, from which a provider counts as down."""
HEARD_WITHIN = 0.5
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
"""Between probes; doubled with each one that fails."""
_OURS = frozenset(("TooLate", "TransportClosed"))
"""Reasons that say nothing about the provider."""

log = logging.getLogger(__name__)


class Breaker:
    """`opened` is called whenever it opens: whoever waits for the provider need not wait any longer."""

    def __init__(self, provider: str, opened: Callable[[], None]) -> None:
        self.provider = provider
        self._opened = opened
        self._failures = 0
        self._open = False
        self._reason = ""
        self._probe_at = 0.0
        self._asked_until = 0.0
        """When the provider itself wants the next mail."""
        self._pause = FIRST_PAUSE
        self._probing = False
        self._heard_at = float("-inf")

    @property
    def closed(self) -> bool:
        """Whether mails go out as usual."""
        return not self._open

    @property
    def reason(self) -> str:
        """Why it opened last."""
        return self._reason

    def pause(self) -> float:
        """Seconds until a mail may try; 0: now."""
        if not self._open:
            return 0
        left = self._probe_at - _now()
        return max(left, FIRST_PAUSE) if self._probing else max(left, 0)

    def begin_probe(self) -> bool:
        """Let the mail at hand be the probe, if one is due; whoever gets True has to end it."""
        if not self._open or self.pause() > 0:
            return False
        self._probing = True
        return True

    def end_probe(self) -> None:
        """The probe is over; unless `note` has heard of it, the next mail is one."""
        self._probing = False

    def renew(self) -> None:
        """It is reached in another way now, with which nothing has failed yet: one mail may try at once."""
        self._failures, self._pause, self._probing = 0, FIRST_PAUSE, False
        self._probe_at = self._asked_until

    def watch(self) -> asyncio.TimerHandle:
        """A mail is being handed over from now on; cancel it when there is an outcome."""
        begun = _now()
        return asyncio.get_running_loop().call_later(STALLED_AFTER, self._look, begun)

    def note(self, outcome: Outcome) -> None:
        """What a hand-over came to."""
        if isinstance(outcome, Deferred) and outcome.reason in _OURS:
            return
        if not troubled(outcome):
            self._heard_at = _now()
            if self._open:
                log.warning("provider %s is back", self.provider)
            self._failures, self._open, self._pause = 0, False, FIRST_PAUSE
            return
        self._failures += 1
        asked = outcome.retry_after if isinstance(outcome, Deferred) else None
        if self._probing or asked is not None or self._failures >= TRIP_AFTER:
            self._trip("" if isinstance(outcome, Accepted) else outcome.reason, asked)

    def _look(self, begun: float) -> None:
        # This process may have been paused: the answers that came meanwhile are heard first.
        asyncio.get_running_loop().call_later(HEARD_WITHIN, self._judge, begun)

    def _judge(self, begun: float) -> None:
        if self._heard_at < begun:
            self._trip("Stalled", None)

    def _trip(self, reason: str, asked: float | None) -> None:
        """Open, for as long as the provider asks or the pause says."""
        now = _now()
        if not self._open:
            log.warning("provider %s is down: %s", self.provider, reason)
        elif self._probe_at > now and asked is None:
            # One of those that were under way already: it says nothing new.
            return
        self._open, self._reason = True, reason or "ProviderDown"
        if asked is not None:
            self._asked_until = max(self._asked_until, now + asked)
        self._probe_at = max(self._probe_at, now + (self._pause if asked is None else asked))
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._opened()


def troubled(outcome: Outcome) -> bool:
    """Whether the provider as a whole is in trouble, as far as this outcome tells."""
    match outcome:
        case Accepted() | Refused():
            return False
        case Deferred():
            return by_provider(outcome)
        case Unknown():
            return True


def _now() -> float:
    return asyncio.get_running_loop().time()
