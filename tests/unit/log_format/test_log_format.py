"""Log lines: JSON with the fields that were given, and exceptions without what they quote."""

import json
import logging

import pytest

from emailflow_runtime.adapters.log_format import JsonFormatter, TextFormatter

SECRET = "ana@example.com"


def record(**fields):
    return logging.makeLogRecord(
        {
            "name": "emailflow_runtime.app.sender",
            "levelno": 30,
            "levelname": "WARNING",
            "created": 0.5,
            **fields,
        }
    )


def failed():
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        return (ValueError, error, error.__traceback__)


def test_a_line_is_json_with_its_fields():
    line = json.loads(JsonFormatter().format(record(msg="mail %s", args=("withheld",), flow="shop_cart")))

    assert line == {
        "time": "1970-01-01T00:00:00.500Z",
        "level": "warning",
        "logger": "emailflow_runtime.app.sender",
        "message": "mail withheld",
        "flow": "shop_cart",
    }


def test_a_line_stays_one_line():
    assert "\n" not in JsonFormatter().format(record(msg="a\nb", exc_info=failed()))


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_an_exception_is_told_by_kind_and_place_only(formatter):
    text = formatter.format(record(msg="failed", exc_info=failed()))

    assert "ValueError" in text
    assert "test_log_format.py" in text
    assert SECRET not in text


def test_what_json_does_not_know_is_shown_all_the_same():
    assert "{1}" in JsonFormatter().format(record(msg="x", odd={1}))
