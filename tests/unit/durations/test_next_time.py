"""`wait.until`: the next time of day that is asked for, across every way in which clocks change."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.durations import DAYS, add, next_time
from emailflow_api.errors import InvalidDuration
from emailflow_api.plans import Until

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo")
UNTIL = st.builds(
    Until,
    time=st.times().map("{:%H:%M}".format),
    days=st.sets(st.sampled_from(DAYS), min_size=1).map(tuple),
    after=st.sampled_from(["", "PT1H", "P1D", "P2W"]),
)
INSTANTS = st.integers(1_200_000_000 * SECOND, 1_800_000_000 * SECOND)


def at(text: str) -> int:
    """The instant of an ISO 8601 time with its offset."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def clock(instant: int, zone: str) -> datetime:
    return datetime.fromtimestamp(instant // SECOND, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "now", "time", "expected"),
    [
        ("America/New_York", "2026-06-01T09:59:59-04:00", "10:00", "2026-06-01T10:00:00-04:00"),
        ("America/New_York", "2026-06-01T10:00:00-04:00", "10:00", "2026-06-01T10:00:00-04:00"),
        ("America/New_York", "2026-06-01T10:00:01-04:00", "10:00", "2026-06-02T10:00:00-04:00"),
        # The night before the clocks go forward, and back.
        ("America/New_York", "2026-03-07T20:00:00-05:00", "10:00", "2026-03-08T10:00:00-04:00"),
        ("America/New_York", "2026-10-31T20:00:00-04:00", "10:00", "2026-11-01T10:00:00-05:00"),
        # A time that is not there: the first moment after the gap.
        ("America/New_York", "2026-03-08T01:00:00-05:00", "02:30", "2026-03-08T03:00:00-04:00"),
        ("Europe/Berlin", "2026-03-29T00:00:00+01:00", "02:00", "2026-03-29T03:00:00+02:00"),
        ("Australia/Lord_Howe", "2026-10-04T00:00:00+10:30", "02:15", "2026-10-04T02:30:00+11:00"),
        ("Africa/Cairo", "2026-04-23T20:00:00+02:00", "00:00", "2026-04-24T01:00:00+03:00"),
        # A time that is there twice: the first; once that is over, tomorrow's.
        ("Europe/Berlin", "2026-10-25T00:00:00+02:00", "02:30", "2026-10-25T02:30:00+02:00"),
        ("Europe/Berlin", "2026-10-25T02:45:00+02:00", "02:30", "2026-10-26T02:30:00+01:00"),
        ("Australia/Lord_Howe", "2026-04-05T00:00:00+11:00", "01:45", "2026-04-05T01:45:00+11:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:50:00+11:00", "01:45", "2026-04-06T01:45:00+10:30"),
        # A day that is not there is passed over.
        ("Pacific/Apia", "2011-12-29T12:00:00-10:00", "10:00", "2011-12-31T10:00:00+14:00"),
    ],
)
def test_the_time_is_the_next_on_the_clock(zone: str, now: str, time: str, expected: str) -> None:
    assert clock(next_time(at(now), Until(time=time), zone), zone).isoformat() == expected


@pytest.mark.parametrize(
    ("now", "days", "expected"),
    [
        ("2026-06-05T09:00:00-04:00", DAYS[:5], "2026-06-05T10:00:00-04:00"),
        ("2026-06-05T11:00:00-04:00", DAYS[:5], "2026-06-08T10:00:00-04:00"),
        ("2026-06-05T11:00:00-04:00", ("Fri",), "2026-06-12T10:00:00-04:00"),
        ("2026-06-05T11:00:00-04:00", ("Sun", "Thu"), "2026-06-07T10:00:00-04:00"),
    ],
)
def test_only_the_days_named_count(now: str, days: tuple[str, ...], expected: str) -> None:
    found = next_time(at(now), Until(time="10:00", days=days), "America/New_York")
    assert clock(found, "America/New_York").isoformat() == expected


def test_a_weekday_that_was_left_out_comes_a_week_later() -> None:
    """Samoa had no Friday 30 December 2011; the Friday before was over at eleven."""
    found = next_time(at("2011-12-23T11:00:00-10:00"), Until(time="10:00", days=("Fri",)), "Pacific/Apia")
    assert clock(found, "Pacific/Apia").isoformat() == "2012-01-06T10:00:00+14:00"


def test_after_is_waited_for_on_the_calendar_first() -> None:
    until = Until(time="10:00", after="P2D")
    found = next_time(at("2026-03-07T09:59:00-05:00"), until, "America/New_York")
    assert clock(found, "America/New_York").isoformat() == "2026-03-09T10:00:00-04:00"


def test_a_zone_that_is_unknown_counts_as_utc() -> None:
    now = at("2026-06-01T09:00:00+00:00")
    assert next_time(now, Until(time="10:00"), "Mars/Olympus") == now + HOUR


def test_no_day_at_all_is_refused() -> None:
    with pytest.raises(InvalidDuration, match="`days` names no day"):
        next_time(0, Until(time="10:00", days=()), "UTC")


@given(INSTANTS, UNTIL, st.sampled_from(ZONES))
def test_it_is_never_before_what_was_waited_for_and_on_a_day_that_was_named(
    instant: int, until: Until, zone: str
) -> None:
    found = next_time(instant, until, zone)
    assert found >= (add(instant, until.after, zone) if until.after else instant)
    assert DAYS[clock(found, zone).weekday()] in until.days


@given(INSTANTS, INSTANTS, UNTIL, st.sampled_from(ZONES))
def test_who_waits_from_a_later_day_is_not_let_go_earlier(
    one: int, other: int, until: Until, zone: str
) -> None:
    first, last = sorted((one, other))
    if clock(first, zone).date() < clock(last, zone).date():
        assert next_time(first, until, zone) <= next_time(last, until, zone)


@given(st.dates(date(2010, 1, 1), date(2030, 12, 31)), st.times(), st.sampled_from(ZONES))
def test_it_comes_once_a_day(day: date, time: datetime, zone: str) -> None:
    """A loop that waits for a time of day is let go on each day once, on those of clock changes too."""
    until = Until(time=f"{time:%H:%M}")
    start = int(datetime.combine(day, datetime.min.time(), ZoneInfo("UTC")).timestamp()) * SECOND
    first = next_time(start, until, zone)
    second = next_time(first + SECOND, until, zone)
    left_out = zone == "Pacific/Apia" and clock(first, zone).date() == date(2011, 12, 29)
    assert clock(second, zone).date() - clock(first, zone).date() == timedelta(days=2 if left_out else 1)
