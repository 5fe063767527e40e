"""Durations (ISO 8601) and times of day, on the calendar of an IANA zone.

`P1D` is a calendar day where it counts, `PT24H` is 24 hours. Time is handed in; nothing here asks what
time it is.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from emailflow_api.errors import ApiError, InvalidDuration
from emailflow_api.plans import Until

SECOND = 1_000_000_000
DAY_SECONDS = 86_400
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONGEST_DAYS = 36_525
"""A hundred years. Nanoseconds in 64 bits end in 2262; a moment beyond would come round as one long past."""

_EXPECTED = "an ISO 8601 duration like PT1H, P1D or P1DT12H"
_ISO = re.compile(
    r"P(?:(?P<weeks>[0-9]{1,4})W|(?=.)(?:(?P<days>[0-9]{1,5})D)?"
    r"(?:T(?=.)(?:(?P<hours>[0-9]{1,6})H)?(?:(?P<minutes>[0-9]{1,7})M)?(?:(?P<seconds>[0-9]{1,9})S)?)?)"
)


class InvalidTimezone(ApiError):
    """A name that no IANA time zone has."""

    reason = "InvalidTimezone"


class Duration(NamedTuple):
    """Calendar days, then elapsed seconds."""

    days: int
    seconds: int


@lru_cache(maxsize=4096)
def parse(text: str) -> Duration:
    """The duration in the text: weeks, or days and a time; no years, months or fractions.

    Raises InvalidDuration, also for more than a hundred years.
    """
    found = _ISO.fullmatch(text)
    if found is None:
        raise InvalidDuration(f"`{text}` is not a duration", expected=_EXPECTED)
    part = {name: int(digits or 0) for name, digits in found.groupdict().items()}
    days = part["days"] + 7 * part["weeks"]
    elapsed = part["hours"] * 3600 + part["minutes"] * 60 + part["seconds"]
    if days * DAY_SECONDS + elapsed > LONGEST_DAYS * DAY_SECONDS:
        raise InvalidDuration(f"`{text}` is too long", expected="at most a hundred years, P36525D")
    return Duration(days, elapsed)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises InvalidTimezone."""
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError) as unknown:
        raise InvalidTimezone(
            f"`{name}` is not a time zone", expected="an IANA name like Europe/Berlin"
        ) from unknown


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """Whether there is an IANA zone of that name."""
    try:
        zone_of(name)
    except InvalidTimezone:
        return False
    return True


@lru_cache(maxsize=1024)
def _zone_or_utc(name: str) -> ZoneInfo:
    """What an event says about its contact must not stop a journey."""
    try:
        return zone_of(name)
    except InvalidTimezone:
        return zone_of("UTC")


def seconds(text: str) -> float:
    """All of it in seconds, a day as 24 hours: for retention and pauses, where no calendar is concerned.

    Raises InvalidDuration.
    """
    duration = parse(text)
    return float(duration.days * DAY_SECONDS + duration.seconds)


def add(instant: int, text: str, zone: str) -> int:
    """The instant (nanoseconds since 1970 UTC) after the duration: its days on the zone's calendar at the
    same time of day, then its hours.

    A local time that a clock change skips is the first moment after the gap; one that it repeats is the
    first of the two. An unknown zone counts as UTC. Raises InvalidDuration.
    """
    duration = parse(text)
    if not duration.days:
        return instant + duration.seconds * SECOND
    whole, rest = divmod(instant, SECOND)
    here = _zone_or_utc(zone)
    local = datetime.fromtimestamp(whole, here)
    moved = _instant(local.date() + timedelta(days=duration.days), local.time(), here)
    return (moved + duration.seconds) * SECOND + rest


def local_date(instant: int, zone: str) -> date:
    """The day on the zone's calendar (an unknown zone counts as UTC)."""
    return datetime.fromtimestamp(instant // SECOND, _zone_or_utc(zone)).date()


def start_of_day(day: date, days: int, zone: str) -> int:
    """The instant at which the day that many days later begins in the zone."""
    return _instant(day + timedelta(days=days), time.min, _zone_or_utc(zone)) * SECOND


def next_time(instant: int, until: Until, zone: str) -> int:
    """The first instant not before `instant` plus `until.after` that is `until.time` on one of its days in
    the zone (nanoseconds since 1970 UTC).

    Clock changes and unknown zones are treated as in `add`, so no day has its time twice; a day that the
    zone left out (Pacific/Apia, 30 December 2011) is passed over. Raises InvalidDuration.
    """
    earliest = add(instant, until.after, zone) if until.after else instant
    here = _zone_or_utc(zone)
    at = time.fromisoformat(until.time)
    today = datetime.fromtimestamp(earliest // SECOND, here).date()
    # The wanted weekday may be over today, and left out a week later: hence two weeks.
    for day in (today + timedelta(days=ahead) for ahead in range(15)):
        if DAYS[day.weekday()] in until.days and _is_there(day, here):
            found = _instant(day, at, here) * SECOND
            if found >= earliest:
                return found
    raise InvalidDuration("`days` names no day", expected=f"at least one of {', '.join(DAYS)}")


def _is_there(day: date, zone: ZoneInfo) -> bool:
    return _instant(day, time.min, zone) < _instant(day + timedelta(days=1), time.min, zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    """Seconds since 1970 UTC of a local time."""
    local = datetime.combine(day, at.replace(fold=0), zone)
    there = local.astimezone(UTC)
    if there.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return int(there.timestamp())
    return _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> int:
    """The instant at which the clocks jump over `local`: found by halving, since zoneinfo doesn't tell.

    In a gap, fold=1 reads the time by the offset after it, which is the earlier instant (PEP 495).
    """
    low = int(local.replace(fold=1).astimezone(UTC).timestamp())
    high = int(local.astimezone(UTC).timestamp())
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
