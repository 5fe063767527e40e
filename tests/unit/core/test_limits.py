"""Frequency caps and quiet hours on the contact's calendar."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.plans import Cap, QuietHours
from emailflow_runtime.core.limits import capped_until, quiet_until

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
BERLIN = "Europe/Berlin"
NIGHT = QuietHours(start="21:00", to="08:00")


def at(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def test_a_rolling_cap_has_room_again_once_the_oldest_mail_has_left() -> None:
    cap = Cap(max=2, per="P7D")
    sent = [at("2026-03-02T10:00"), at("2026-03-04T10:00")]
    assert capped_until([cap], sent[:1], at("2026-03-05T10:00"), BERLIN) == 0
    assert capped_until([cap], sent, at("2026-03-05T10:00"), BERLIN) == at("2026-03-09T10:00")
    assert capped_until([cap], sent, at("2026-03-09T10:00"), BERLIN) == 0


def test_a_lowered_cap_waits_for_more_than_one_to_leave() -> None:
    sent = [at("2026-03-02T10:00"), at("2026-03-03T10:00"), at("2026-03-04T10:00")]
    cap = Cap(max=1, per="P7D")
    assert capped_until([cap], sent, at("2026-03-05T10:00"), BERLIN) == at("2026-03-11T10:00")


def test_calendar_days_begin_at_the_contacts_midnight() -> None:
    cap = Cap(max=1, per="P1D", counting="CalendarDay")
    sent = [at("2026-03-02T23:30")]
    assert capped_until([cap], sent, at("2026-03-02T23:45"), BERLIN) == at("2026-03-03T00:00")
    assert capped_until([cap], sent, at("2026-03-03T00:00"), BERLIN) == 0
    assert capped_until([cap], sent, at("2026-03-03T00:00"), "America/New_York") == at(
        "2026-03-03T00:00", "America/New_York"
    )


def test_the_strictest_of_several_caps_counts() -> None:
    caps = [Cap(max=1, per="PT1H"), Cap(max=1, per="P1D")]
    sent = [at("2026-03-02T10:00")]
    assert capped_until(caps, sent, at("2026-03-02T10:30"), BERLIN) == at("2026-03-03T10:00")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-02T20:59", ""),
        ("2026-03-02T21:00", "2026-03-03T08:00"),
        ("2026-03-03T03:00", "2026-03-03T08:00"),
        ("2026-03-03T07:59", "2026-03-03T08:00"),
        ("2026-03-03T08:00", ""),
        # The night in which the clocks go forward, and the one in which they go back.
        ("2026-03-28T22:00", "2026-03-29T08:00"),
        ("2026-10-25T02:30", "2026-10-25T08:00"),
    ],
)
def test_the_night_is_quiet(now: str, until: str) -> None:
    assert quiet_until(NIGHT, at(now), BERLIN, "UTC") == (at(until) if until else 0)


def test_a_day_counts_by_when_its_quiet_hours_begin() -> None:
    weekend = QuietHours(start="21:00", to="08:00", days=("Sat",))
    assert quiet_until(weekend, at("2026-03-08T07:00"), BERLIN, "UTC") == at("2026-03-08T08:00")
    assert quiet_until(weekend, at("2026-03-07T07:00"), BERLIN, "UTC") == 0
    assert quiet_until(weekend, at("2026-03-08T22:00"), BERLIN, "UTC") == 0


def test_hours_within_a_day() -> None:
    noon = QuietHours(start="12:00", to="13:00")
    assert quiet_until(noon, at("2026-03-02T12:30"), BERLIN, "UTC") == at("2026-03-02T13:00")
    assert quiet_until(noon, at("2026-03-02T11:59"), BERLIN, "UTC") == 0
    assert quiet_until(noon, at("2026-03-02T13:00"), BERLIN, "UTC") == 0


def test_a_contact_without_a_zone_has_the_fallbacks_then_the_runtimes() -> None:
    late = at("2026-03-02T22:00")
    fallback = QuietHours(start="21:00", to="08:00", fallback_timezone=BERLIN)
    assert quiet_until(fallback, late, "", "America/New_York") == at("2026-03-03T08:00")
    assert quiet_until(NIGHT, late, "Mars/Olympus", "America/New_York") == 0
    fixed = QuietHours(start="21:00", to="08:00", timezone="America/New_York")
    assert quiet_until(fixed, late, BERLIN, "UTC") == 0


@given(
    moment=st.integers(at("2020-01-01T00:00"), at("2030-01-01T00:00")),
    zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
)
def test_quiet_hours_end_within_a_day_and_then_it_is_not_quiet(moment: int, zone: str) -> None:
    until = quiet_until(NIGHT, moment, zone, "UTC")
    assert until == 0 or moment < until <= moment + 13 * HOUR
    assert not until or quiet_until(NIGHT, until, zone, "UTC") == 0


@given(
    sent=st.lists(st.integers(0, 40 * 24), max_size=30),
    now=st.integers(0, 40 * 24),
    most=st.integers(1, 5),
    counting=st.sampled_from(["Rolling", "CalendarDay"]),
)
def test_a_mail_sent_when_there_is_room_keeps_the_cap(
    sent: list[int], now: int, most: int, counting: str
) -> None:
    start = at("2026-03-01T00:00")
    cap = Cap(max=most, per="P3D", counting=counting)
    past = [start + hour * HOUR for hour in sent if hour <= now]
    moment = start + now * HOUR
    until = capped_until([cap], past, moment, BERLIN)
    assert until == 0 or until > moment
    assert capped_until([cap], past, until or moment, BERLIN) == 0
