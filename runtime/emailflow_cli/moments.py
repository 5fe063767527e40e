"""Moments as people type them: RFC 3339, or a duration that says how long ago."""

from datetime import datetime

import typer

from emailflow_api.durations import seconds
from emailflow_api.errors import InvalidDuration

SECOND = 1_000_000_000


def now() -> int:
    """Nanoseconds since 1970 UTC."""
    from emailflow_runtime.adapters.system_clock import SystemClock

    return SystemClock().now()


def moment(text: str) -> int:
    """Nanoseconds since 1970 UTC of `2026-03-07T20:00:00Z`, or of `PT1H`, an hour ago.

    Raises BadParameter.
    """
    if text.startswith("P"):
        try:
            return now() - int(seconds(text) * SECOND)
        except InvalidDuration as invalid:
            raise typer.BadParameter(f"{invalid}: expected {invalid.expected}") from invalid
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise typer.BadParameter(f"`{text}`: expected RFC 3339 with a zone, or a duration like PT1H")
    return round(at.timestamp() * 1_000_000) * 1000


def rfc3339(at: int) -> str:
    """A moment as RFC 3339."""
    from emailflow_runtime.core.publication import rfc3339 as text

    return text(at // SECOND * SECOND)
