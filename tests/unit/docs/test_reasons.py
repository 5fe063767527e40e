"""Every reason that the code gives stands in the reference: people look for the word that they were shown."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = (
    "crds/emailflow_api",
    "operator/emailflow_operator",
    "runtime/emailflow_runtime",
    "runtime/emailflow_cli",
)
PAGES = [ROOT / "docs/reference" / name for name in ("reasons.md", "http.md")]
GIVERS = {
    "Deferred": 0,
    "Refused": 0,
    "_failed": 0,
    "failed": 0,
    "_gate": 2,
    "_limit": 1,
    "KeepDeadLetter": 0,
    "exit": 1,
}
"""Functions and outcomes that take a reason, and as which argument."""
WORD = re.compile("([A-Z][a-z0-9]+)+")


def reasons(tree: ast.AST) -> Iterator[str]:
    """The reasons in one module: of errors, of `reason=`, and of those who take one."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef():
                for each in node.body:
                    if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "reason":
                        yield from words(each.value)
            case ast.Call(func=function):
                name = ast.unparse(function).rpartition(".")[2]
                if name in GIVERS and len(node.args) > GIVERS[name]:
                    yield from words(node.args[GIVERS[name]])
                for keyword in node.keywords:
                    if keyword.arg == "reason":
                        yield from words(keyword.value)


def words(value: ast.AST) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and WORD.fullmatch(value.value):
        yield value.value


def test_every_reason_is_in_the_reference() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    given = {word for file in files for word in reasons(ast.parse(file.read_text()))}
    assert len(given) > 90
    pages = "".join(page.read_text() for page in PAGES)
    assert {word for word in given if f"`{word}`" not in pages} == set()
