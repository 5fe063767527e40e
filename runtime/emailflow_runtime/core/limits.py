"""How often and when: frequency caps and quiet hours, as moments until which a mail has to wait.

Pure calendar arithmetic over what a policy declares. Whether such a mail is deferred or dropped is the
gates' business.
"""

from collections.abc import Iterable, Sequence

from emailflow_api.durations import DAYS, add, is_zone, local_date, next_time, parse, start_of_day
from emailflow_api.plans import Cap, QuietHours, Until

DAY = 86_400 * 1_000_000_000


def capped_until(caps: Iterable[Cap], sent: Sequence[int], at: int, zone: str) -> int:
    """When there is room for one more mail under all caps; 0 when there is now.

    `sent` are the moments (nanoseconds since 1970 UTC) of the contact's mails, `zone` is the contact's.
    """
    return max((_room_at(cap, sorted(sent), at, zone) for cap in caps), default=0)


def _room_at(cap: Cap, sent: Sequence[int], at: int, zone: str) -> int:
    counted = [moment for moment in sent if _leaves_at(cap, moment, zone) > at]
    if len(counted) < cap.max:
        return 0
    # Room is there once so many have left that one less than `max` counts.
    return _leaves_at(cap, counted[len(counted) - cap.max], zone)


def _leaves_at(cap: Cap, moment: int, zone: str) -> int:
    """When a mail of that moment stops counting."""
    if cap.counting == "CalendarDay":
        return start_of_day(local_date(moment, zone), parse(cap.per).days, zone)
    return add(moment, cap.per, zone)


def quiet_until(quiet: QuietHours, at: int, contact_zone: str, default_zone: str) -> int:
    """The end of the quiet hours that `at` lies in; 0 when it lies in none.

    Quiet hours begin on one of `days` and may end on the next morning, in the contact's zone where that is
    known (`timezone: contact`), else in the fallback's, else the runtime's.
    """
    zone = contact_zone if quiet.timezone == "contact" else quiet.timezone
    if not is_zone(zone):
        zone = quiet.fallback_timezone or default_zone
    end = next_time(at + 1, Until(time=quiet.to), zone)
    # The beginning that belongs to this end: the last `from` before it.
    begin = next_time(end - DAY - DAY // 12, Until(time=quiet.start), zone)
    while (later := next_time(begin + 1, Until(time=quiet.start), zone)) < end:
        begin = later
    began_on = DAYS[local_date(begin, zone).weekday()]
    return end if begin <= at and began_on in quiet.days else 0
