"""The filters that EmailFlow adds to Jinja2's: times, numbers and amounts as the reader writes them.

They read `locale` and `contact.timezone` from the context and know no clock. Month and day names are
English; a language's own are not in reach without a locale database.
"""

import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import jinja2
from jinja2.runtime import Context

NO_BREAK_SPACE = "\u00a0"

_COMMA_LANGUAGES = {
    language: separators
    for languages, separators in (
        ("da de el es id is it nl pt ro sl sr tr vi hr", (".", ",")),
        ("bg cs et fi fr hu lt lv nb nn no pl ru sk sv uk", (NO_BREAK_SPACE, ",")),
    )
    for language in languages.split()
}
_SWISS = ("\u2019", ".")
_ENGLISH = (",", ".")


def separators(locale: str) -> tuple[str, str]:
    """The marks between thousands and before decimals in that locale (CLDR's; English by default)."""
    language, _, rest = locale.replace("_", "-").partition("-")
    if rest.upper() in ("CH", "LI"):
        return _SWISS
    if language.lower() == "es" and rest.upper() in ("MX", "US", "419"):
        return _ENGLISH
    return _COMMA_LANGUAGES.get(language.lower(), _ENGLISH)


class InvalidArgument(ValueError):
    """A value that a filter can't format. The message is fixed text, since it goes into dead letters."""


@jinja2.pass_context
def number(context: Context, value: Any, decimals: int | None = None) -> str:
    """`1234.5 | number(2)` is `1,234.50`, or `1.234,50` in German. Halves are rounded up.

    Without `decimals` a number keeps those that it has. Raises InvalidArgument for what is no number.
    """
    amount = _decimal(value)
    if decimals is not None:
        amount = amount.quantize(Decimal(1).scaleb(-min(decimals, 12)), rounding=ROUND_HALF_UP)
    thousands, point = separators(str(context.get("locale", "")))
    whole, _, fraction = f"{amount:,f}".partition(".")
    return whole.replace(",", thousands) + (point + fraction if fraction else "")


@jinja2.pass_context
def money(context: Context, value: Any, currency: str, decimals: int = 2) -> str:
    """`12.5 | money("EUR")` is `12.50 EUR`: the ISO 4217 code is understood in every language."""
    return number(context, value, decimals) + NO_BREAK_SPACE + currency


@jinja2.pass_context
def date_and_time(
    context: Context, value: Any, pattern: str = "%Y-%m-%d %H:%M", timezone: str | None = None
) -> str:
    """An RFC 3339 time in `timezone`, else in the contact's zone, else in UTC; `pattern` as in strftime.

    A time without an offset is taken as UTC. Raises InvalidArgument for what is no time, or no IANA zone.
    """
    zone = _contact_zone(context) if timezone is None else _zone(timezone)
    return _datetime(value).astimezone(zone).strftime(pattern)


@jinja2.pass_context
def date(context: Context, value: Any, pattern: str = "%Y-%m-%d", timezone: str | None = None) -> str:
    """As `datetime`, by default only the day. A bare date stays that day in every zone."""
    if isinstance(value, str) and len(value) == len("2026-01-31"):
        return _datetime(value).strftime(pattern)
    return date_and_time(context, value, pattern, timezone)


FILTERS: dict[str, Callable[..., str]] = {
    "number": number,
    "money": money,
    "datetime": date_and_time,
    "date": date,
}


def _decimal(value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise InvalidArgument("number: expected a number") from None
    if not amount.is_finite() or abs(amount.adjusted()) > 30:
        raise InvalidArgument("number: expected a number of at most 30 digits")
    return amount


def _datetime(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidArgument("datetime: expected an RFC 3339 time") from None
    if not isinstance(value, datetime):
        raise InvalidArgument("datetime: expected an RFC 3339 time")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _zone(name: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument("datetime: expected an IANA time zone") from None


def _contact_zone(context: Context) -> tzinfo:
    """The contact's zone. One that isn't known must not stop a mail: then UTC."""
    contact = context.get("contact")
    name = contact.get("timezone") if isinstance(contact, dict) else None
    if not isinstance(name, str) or not name:
        return UTC
    try:
        return _zone(name)
    except ValueError:
        return UTC
