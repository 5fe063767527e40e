"""docs/reference/http.md keeps its word: each sample is run, its answer compared; its tables are complete."""

import inspect
import json
import re
from pathlib import Path

import pytest

from emailflow_runtime.adapters.http_door import errors as door_errors
from emailflow_runtime.core.cloudevents import errors as codec_errors
from emailflow_runtime.errors import EmailFlowError, Overloaded, Unavailable

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "http.md").read_text("utf-8")
SAMPLES = re.findall(r"```sh\n(.*?)```\n```http\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize(("command", "answer"), SAMPLES)
async def test_samples_do_what_the_page_says(guarded_door, door, shell, read_reply, command, answer):
    served = guarded_door if "authorization:" in command else door
    local = command.replace("http://localhost:8080", served.url).replace(
        "curl -i", "curl -sS -i --max-time 30"
    )
    got, expected = read_reply(await shell(local)), read_reply(answer)
    assert got.status == expected.status
    assert {name: got.headers.get(name) for name in expected.headers} == expected.headers
    if expected.body:
        assert got.json == expected.json
    else:
        assert got.body == ""


def test_every_block_of_the_page_is_a_sample():
    assert PAGE.count("```sh") == PAGE.count("```http") == len(SAMPLES) > 0


def reasons():
    """Of all errors that reach a sender; roots and what nobody is left to hear are none."""
    for module in (door_errors, codec_errors):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if "reason" in vars(kind) and kind is not door_errors.ClientGone:
                yield kind.reason
    yield from (EmailFlowError.reason, Overloaded.reason, Unavailable.reason)


@pytest.mark.parametrize("reason", sorted({*reasons()} - {"InvalidEvent"}))
def test_the_page_lists_every_reason(reason):
    assert f"| `{reason}` |" in PAGE


def test_the_samples_are_json_where_they_say_so():
    assert all(json.loads(reply.split("\n\n", 1)[1]) for _, reply in SAMPLES if "application/json" in reply)
