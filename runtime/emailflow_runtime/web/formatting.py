"""How moments, sizes and people look on a page. Pure; registered as template filters."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from emailflow_api.plans import Address

_TONES = 8


def iso(nanoseconds: int) -> str:
    """A moment for machines: the `datetime` of a `<time>`."""
    return _moment(nanoseconds).isoformat(timespec="seconds").replace("+00:00", "Z")


def moment(nanoseconds: int) -> str:
    """A moment for people who have no script to turn it into their own time."""
    return f"{_moment(nanoseconds):%d %b %Y, %H:%M} UTC"


def octets(size: int) -> str:
    """A size in B, KB or MB of 1024."""
    if size < 1024:
        return f"{size} B"
    if size < 1024 * 1024:
        return f"{size / 1024:.1f} KB"
    return f"{size / 1024 / 1024:.1f} MB"


def person(address: Address) -> str:
    """The name if there is one, else the address."""
    return address.name or address.address or "(nobody)"


def initials(address: Address) -> str:
    """One or two letters that stand for a person."""
    words = [word for word in person(address).split() if word[0].isalnum()]
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "") if words else "?").upper()


def tone(address: Address) -> int:
    """A number from 0 to 7, always the same for an address: its colour."""
    return sum(address.address.casefold().encode()) % _TONES


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)


FILTERS: dict[str, Callable[..., Any]] = {
    "iso": iso,
    "moment": moment,
    "octets": octets,
    "person": person,
    "initials": initials,
    "tone": tone,
}
