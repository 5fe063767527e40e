"""Every await between accept and acknowledgement has a name to be killed at, and a promise on a page."""

import ast
import re
from itertools import chain
from pathlib import Path

from tests.crash.awaits import RUNTIME, awaits
from tests.crash.path import PATH, idle, needing_points
from tests.crash.points import POINTS

PAGE = Path(__file__).parents[2] / "docs/explanation/crash-safety.md"
PURE = re.compile(
    r"asyncio\.(timeout|timeout_at|TaskGroup)|lane\.slot|self\._one_by_one\.holding"
    r"|scanning|self\._(group|reconnected|question|preparing|turn|opening|goodbye|handing_over|searching|slots)"
)
"""What `async with` may enter: it waits, or it is a function of the path."""


def test_every_await_on_the_path_is_a_crash_point_or_says_why_not() -> None:
    named = {crash.place for crash in POINTS.values()}
    assert [place for place in needing_points() if place not in named] == []


def test_every_crash_point_is_an_await_of_the_source() -> None:
    there = set(chain.from_iterable(map(awaits, PATH)))
    assert {name for name, crash in POINTS.items() if crash.place not in there} == set()
    assert idle() == set()


def test_nothing_on_the_path_waits_in_another_way() -> None:
    """`async with` enters what only waits; `async for` runs functions whose awaits are judged."""
    odd = []
    for module in PATH:
        for node in ast.walk(ast.parse((RUNTIME / f"{module}.py").read_text())):
            if isinstance(node, ast.AsyncWith):
                entered = [ast.unparse(each.context_expr).partition("(")[0] for each in node.items]
                odd += [f"{module}: {each}" for each in entered if not PURE.fullmatch(each)]
    assert odd == []


def test_there_are_at_least_thirty() -> None:
    assert len(POINTS) >= 30


def test_the_page_says_what_is_promised_at_each_crash_point_and_at_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(POINTS)


def test_the_page_names_exactly_the_points_at_which_an_outcome_may_be_unknown() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|.*\| (once|once, or `unknown`) \|$", PAGE.read_text(), re.MULTILINE)
    said = {name: promise != "once" for name, promise in rows}
    assert said == {name: crash.unknown for name, crash in POINTS.items()}
