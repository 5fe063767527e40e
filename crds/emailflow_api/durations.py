"""Durations (ISO 8601) and times of day, on the calendar of an IANA zone.

`P1D` is a calendar day where it counts, `PT24H` is 24 hours. Time is handed in; nothing here asks what
time it is.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from emailflow_api.errors import InvalidDuration
from emailflow_api.plans import Until

SECOND = 1_000_000_000
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EXPECTED = "an ISO 8601 duration like PT1H, P1D or P1DT12H"
_ISO = re.compile(
    r"P(?:(?P<weeks>\d{1,4})W|(?=.)(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,9})S)?)?)"
)


class Duration(NamedTuple):
    """Calendar days, then elapsed seconds."""

    days: int
    seconds: int


@lru_cache(maxsize=4096)
def parse(text: str) -> Duration:
    """The duration in the text. Raises InvalidDuration."""
    found = _ISO.fullmatch(text)
    if found is None:
        raise InvalidDuration(f"`{text}` is not a duration", expected=_EXPECTED)
    part = {name: int(digits or 0) for name, digits in found.groupdict().items()}
    elapsed = part["hours"] * 3600 + part["minutes"] * 60 + part["seconds"]
    return Duration(part["days"] + 7 * part["weeks"], elapsed)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises InvalidDuration: what a contact says must not stop its journey,
    so callers that run journeys use UTC instead."""
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError) as unknown:
        raise InvalidDuration(
            f"`{name}` is not a time zone", expected="an IANA name like Europe/Berlin"
        ) from unknown


def _zone_or_utc(name: str) -> ZoneInfo:
    try:
        return zone_of(name)
    except InvalidDuration:
        return zone_of("UTC")


def seconds(text: str) -> float:
    """All of it in seconds, a day as 24 hours: for retention and pauses, where no calendar is concerned.

    Raises InvalidDuration.
    """
    duration = parse(text)
    return float(duration.days * 86_400 + duration.seconds)


def add(instant: int, text: str, zone: str) -> int:
    """The instant (nanoseconds since 1970 UTC) after the duration: its days on the zone's calendar at the
    same time of day, then its hours. An unknown zone counts as UTC. Raises InvalidDuration."""
    duration = parse(text)
    if not duration.days:
        return instant + duration.seconds * SECOND
    whole, rest = divmod(instant, SECOND)
    here = _zone_or_utc(zone)
    local = datetime.fromtimestamp(whole, here)
    moved = _instant(local.date() + timedelta(days=duration.days), local.time(), here, fold=local.fold)
    return (moved + duration.seconds) * SECOND + rest


def next_time(instant: int, until: Until, zone: str) -> int:
    """The first instant not before `instant` plus `until.after` that is `until.time` on one of its days in
    the zone (nanoseconds since 1970 UTC).

    A time that a clock change skips is the first moment after the gap; one that it repeats is the first
    of the two. An unknown zone counts as UTC. Raises InvalidDuration.
    """
    earliest = add(instant, until.after, zone) if until.after else instant
    here = _zone_or_utc(zone)
    at = time.fromisoformat(until.time)
    for day in _days_from(earliest, here):
        if DAYS[day.weekday()] in until.days:
            found = _instant(day, at, here) * SECOND
            if found >= earliest:
                return found
    raise InvalidDuration("no such day", expected=f"at least one of {', '.join(DAYS)}")


def _days_from(instant: int, zone: ZoneInfo) -> Iterator[date]:
    first = datetime.fromtimestamp(instant // SECOND, zone).date()
    # Nine, not seven: the right weekday may be over today, and a zone may have skipped a day.
    return (first + timedelta(days=ahead) for ahead in range(15))


def _instant(day: date, at: time, zone: ZoneInfo, fold: int = 0) -> int:
    """Seconds since 1970 UTC of a local time; in a gap, of the first moment after it."""
    local = datetime.combine(day, at.replace(microsecond=0), zone).replace(fold=fold)
    there = local.astimezone(UTC)
    if there.astimezone(zone).replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0):
        return int(there.timestamp())
    return _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> int:
    """The instant at which the clocks jump over `local`: found by halving, since zoneinfo doesn't tell."""
    before = int(local.replace(fold=1).astimezone(UTC).timestamp())
    after = int(local.replace(fold=0).astimezone(UTC).timestamp())
    low, high = min(before, after), max(before, after)
    offset = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
