"""Times, numbers and amounts, as the reader writes them."""

import pytest

from emailflow_runtime.errors import RenderError


@pytest.mark.parametrize(
    ("locale", "written"),
    [
        ("en", "1,234.50"),
        ("de", "1.234,50"),
        ("de-CH", "1\u2019234.50"),
        ("fr", "1\u00a0234,50"),
        ("pt_BR", "1.234,50"),
        ("es-MX", "1,234.50"),
        ("xx", "1,234.50"),
        ("", "1,234.50"),
    ],
)
def test_numbers_are_written_as_the_locale_does(text, locale, written):
    assert text("{{ event.data.total | number(2) }}", locale=locale) == written


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("{{ 5 | number }}", "5"),
        ("{{ 0.1 | number }}", "0.1"),
        ("{{ 2.675 | number(2) }}", "2.68"),
        ("{{ -1234567 | number }}", "-1,234,567"),
        ("{{ '12.30' | number }}", "12.30"),
        ("{{ 1e3 | number(0) }}", "1,000"),
    ],
)
def test_numbers_keep_or_get_their_decimals(text, source, written):
    assert text(source) == written


def test_amounts_carry_the_currencys_code(text):
    assert text("{{ event.data.total | money('EUR') }}", locale="de") == "1.234,50\u00a0EUR"
    assert text("{{ 500 | money('JPY', 0) }}") == "500\u00a0JPY"


@pytest.mark.parametrize("value", ["'many'", "'nan'", "'1e400'", "contact", "none"])
def test_what_is_no_number_is_refused(text, value):
    with pytest.raises(RenderError, match="expected a number"):
        text("{{ " + value + " | number }}")


def test_times_are_shown_in_the_contacts_zone(text):
    assert text("{{ event.time | datetime }}") == "2026-03-01 11:00"
    assert text("{{ event.time | datetime('%d.%m. %H:%M', 'America/New_York') }}") == "01.03. 05:00"
    assert text("{{ event.time | date('%d.%m.%Y') }}") == "01.03.2026"


def test_the_day_is_the_contacts(text):
    assert text("{{ '2026-03-01T23:30:00Z' | date }}") == "2026-03-02"


def test_a_bare_date_stays_that_day(text):
    assert text("{{ '2026-03-01' | date('%d.%m.', 'Pacific/Kiritimati') }}") == "01.03."


@pytest.mark.parametrize(
    "contact", [{}, {"timezone": None}, {"timezone": "Mars/Olympus"}, {"timezone": "../x"}]
)
def test_without_a_zone_that_is_known_times_are_utc(text, contact):
    shown = text("{{ '2026-03-01T10:00:00+02:00' | datetime }}", context={"contact": contact})
    assert shown == "2026-03-01 08:00"


def test_the_hour_that_the_clocks_skip_is_skipped(text):
    shown = text(
        "{{ '2026-03-29T00:59:59Z' | datetime('%H:%M:%S') }} {{ '2026-03-29T01:00:00Z' | datetime('%H') }}"
    )
    assert shown == "01:59:59 03"


@pytest.mark.parametrize("source", ["{{ 'soon' | datetime }}", "{{ 5 | datetime }}", "{{ none | date }}"])
def test_what_is_no_time_is_refused(text, source):
    with pytest.raises(RenderError, match="expected an RFC 3339 time"):
        text(source)


def test_a_zone_of_the_authors_that_is_unknown_is_refused(text):
    with pytest.raises(RenderError, match="expected an IANA time zone"):
        text("{{ event.time | datetime('%H', 'Mars/Olympus') }}")


def test_values_go_into_urls_encoded(text):
    assert text("https://x.example/?q={{ 'a&b ä' | urlencode }}") == "https://x.example/?q=a%26b%20%C3%A4"
