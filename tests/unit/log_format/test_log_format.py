"""Log lines: JSON with the fields that were given, and exceptions without what they quote."""

import json
import logging
import subprocess
import sys

import pytest

from emailflow_runtime.adapters.log_format import JsonFormatter, LogFormat, TextFormatter

SECRET = "ana@example.com"
PROGRAM = """
import asyncio, gc, logging
from emailflow_runtime.adapters.log_format import LogFormat, set_up

set_up(logging.INFO, LogFormat.{form})

def fail(_=None):
    raise ValueError("{secret}")

async def failing(_=None):
    fail()

async def main():
    {ends}
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()

asyncio.run(main())
"""
COMMAND = """
import importlib
from emailflow_cli.main import app

async def _serve(*_):
    raise ValueError("{secret}")

importlib.import_module("emailflow_cli.{command}")._serve = _serve
app()
"""
ENDS = {
    "a task that nobody waits for": f"asyncio.ensure_future(failing('{SECRET}'))",
    "a callback": f"asyncio.get_running_loop().call_soon(fail, '{SECRET}')",
    "the program": f"fail('{SECRET}')",
    "a part of it": "async with asyncio.TaskGroup() as group: group.create_task(failing())",
}


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


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_what_a_group_holds_is_told_as_well(formatter):
    group = ExceptionGroup(SECRET, [failed()[1], KeyError(SECRET)])
    text = formatter.format(record(msg="failed", exc_info=(ExceptionGroup, group, None)))

    assert "ValueError" in text
    assert "KeyError" in text
    assert SECRET not in text


@pytest.mark.parametrize("form", list(LogFormat))
@pytest.mark.parametrize("ends", ENDS)
def test_no_way_to_fail_quotes_what_an_exception_says(form, ends):
    program = PROGRAM.format(form=form.name, secret=SECRET, ends=ENDS[ends])
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "ValueError" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("command", "arguments"),
    [("sidecar", ("--sink", "http://runtime.example/events")), ("dev", (".",))],
    ids=["sidecar", "dev"],
)
def test_a_command_that_ends_by_an_error_quotes_nothing(command, arguments, tmp_path):
    program = COMMAND.format(command=command, secret=SECRET)
    called = [sys.executable, "-c", program, command, *arguments]
    ended = subprocess.run(called, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert "ValueError" in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


def test_what_json_does_not_know_is_shown_all_the_same():
    assert "{1}" in JsonFormatter().format(record(msg="x", odd={1}))
