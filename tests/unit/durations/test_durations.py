"""What a duration says, how long it is, and where on a calendar it leads."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.durations import InvalidTimezone, add, parse, seconds, zone_of
from emailflow_api.errors import InvalidDuration
from emailflow_api.kinds.text import DURATION

SECOND = 1_000_000_000
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kolkata")
INSTANTS = st.integers(0, 4_000_000_000 * SECOND)


def at(text: str) -> int:
    """The instant of an ISO 8601 time with its offset."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def local(instant: int, zone: str) -> str:
    return datetime.fromtimestamp(instant // SECOND, ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize(
    ("text", "days", "elapsed"),
    [
        ("PT1H", 0, 3600),
        ("PT90M", 0, 5400),
        ("PT0S", 0, 0),
        ("PT1H2M3S", 0, 3723),
        ("P1D", 1, 0),
        ("PT24H", 0, 86_400),
        ("P2W", 14, 0),
        ("P1DT12H", 1, 43_200),
        ("P36525D", 36_525, 0),
    ],
)
def test_days_are_kept_apart_from_elapsed_time(text: str, days: int, elapsed: int) -> None:
    assert parse(text) == (days, elapsed)
    assert seconds(text) == days * 86_400 + elapsed


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "1H", "P1H", "PT1D", "P1Y", "P1M", "P1W1D", "P1DT", "PT1.5H", "PT1M1H", "-PT1H", "pt1h",
     "PT1H ", "PT1H\n", "PT1", "PT\u0661H"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidDuration, match="is not a duration") as refused:
        parse(text)
    assert refused.value.expected == "an ISO 8601 duration like PT1H, P1D or P1DT12H"


@pytest.mark.parametrize("text", ["P36526D", "P9999W", "P36525DT1S", "PT999999H"])
def test_more_than_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(InvalidDuration, match="is too long"):
        parse(text)


@given(st.from_regex(DURATION, fullmatch=True) | st.text("PTWDHMS0123456789.- ", max_size=12))
def test_the_schema_and_the_reader_agree_on_what_a_duration_is(text: str) -> None:
    by_schema = re.fullmatch(DURATION, text) is not None
    try:
        parse(text)
        read = True
    except InvalidDuration as refused:
        read = "too long" in str(refused)
    assert read == by_schema


@pytest.mark.parametrize(
    ("zone", "start", "duration", "end"),
    [
        # Spring forward: the day has 23 hours; 24 hours are an hour later on the clock.
        ("America/New_York", "2026-03-07T20:00:00-05:00", "P1D", "2026-03-08T20:00:00-04:00"),
        ("America/New_York", "2026-03-07T20:00:00-05:00", "PT24H", "2026-03-08T21:00:00-04:00"),
        # 02:30 isn't there on that day: the first moment after the gap.
        ("America/New_York", "2026-03-07T02:30:00-05:00", "P1D", "2026-03-08T03:00:00-04:00"),
        ("Europe/Berlin", "2026-03-28T02:00:00+01:00", "P1D", "2026-03-29T03:00:00+02:00"),
        # Fall back: 01:30 is there twice, the first counts.
        ("America/New_York", "2026-10-31T01:30:00-04:00", "P1D", "2026-11-01T01:30:00-04:00"),
        ("Europe/Berlin", "2026-10-24T02:30:00+02:00", "P1D", "2026-10-25T02:30:00+02:00"),
        # From the second 02:30 a day leads to the only one of the next day.
        ("Europe/Berlin", "2026-10-25T02:30:00+01:00", "P1D", "2026-10-26T02:30:00+01:00"),
        # From one year's second 02:30 to the next year's first.
        ("Europe/Berlin", "2025-10-26T02:30:00+01:00", "P364D", "2026-10-25T02:30:00+02:00"),
        # Days first, then hours: from 01:00 after the day's end at the clock change.
        ("Europe/Berlin", "2026-03-28T01:00:00+01:00", "P1DT2H", "2026-03-29T04:00:00+02:00"),
        # Lord Howe moves by half an hour.
        ("Australia/Lord_Howe", "2026-10-03T02:15:00+10:30", "P1D", "2026-10-04T02:30:00+11:00"),
        ("Australia/Lord_Howe", "2026-04-04T01:45:00+11:00", "P1D", "2026-04-05T01:45:00+11:00"),
        # Samoa left out 30 December 2011.
        ("Pacific/Apia", "2011-12-29T10:00:00-10:00", "P1D", "2011-12-31T00:00:00+14:00"),
        ("Pacific/Apia", "2011-12-29T10:00:00-10:00", "P2D", "2011-12-31T10:00:00+14:00"),
        ("Asia/Kolkata", "2026-02-28T12:00:00+05:30", "P1W", "2026-03-07T12:00:00+05:30"),
    ],
)
def test_days_keep_the_time_of_day_where_the_clock_has_it(
    zone: str, start: str, duration: str, end: str
) -> None:
    assert local(add(at(start), duration, zone), zone) == end


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "Europe", "../passwd", "x" * 5000, "a\0b", "\ud800"])
def test_a_zone_that_is_unknown_counts_as_utc(zone: str) -> None:
    start = at("2026-03-07T20:00:00+00:00")
    assert add(start, "P1D", zone) == start + 86_400 * SECOND
    with pytest.raises(InvalidTimezone, match="is not a time zone"):
        zone_of(zone)


@given(INSTANTS, st.integers(0, 800_000), st.sampled_from(ZONES))
def test_hours_are_the_same_everywhere(instant: int, hours: int, zone: str) -> None:
    text = f"PT{hours}H"
    assert add(instant, text, zone) - instant == seconds(text) * SECOND


@given(INSTANTS, st.integers(1, 400), st.sampled_from(ZONES))
def test_days_are_within_a_day_of_their_nominal_length(instant: int, days: int, zone: str) -> None:
    moved = add(instant, f"P{days}D", zone) - instant
    assert moved > 0
    assert abs(moved - days * 86_400 * SECOND) <= 86_400 * SECOND


@given(INSTANTS, INSTANTS, st.integers(1, 400), st.sampled_from(ZONES))
def test_who_starts_on_a_later_day_does_not_end_earlier(one: int, other: int, days: int, zone: str) -> None:
    first, last = sorted((one, other))
    if local(first, zone)[:10] < local(last, zone)[:10]:
        assert add(first, f"P{days}D", zone) <= add(last, f"P{days}D", zone)


@given(INSTANTS, st.integers(1, 1000))
def test_in_utc_a_day_is_24_hours(instant: int, days: int) -> None:
    then = datetime.fromtimestamp(instant // SECOND, UTC) + timedelta(days=days)
    assert add(instant, f"P{days}D", "UTC") == int(then.timestamp()) * SECOND + instant % SECOND
