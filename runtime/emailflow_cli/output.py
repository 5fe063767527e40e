"""What commands print about many things: a table for people, JSON or YAML for programs.

Bold headings only on a terminal, and never where NO_COLOR is set (no-color.org).
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")]


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Format) -> None:
    """Rows as a table of these columns, or whole as a list."""
    if form is not Format.TABLE:
        print_value([dict(row) for row in rows], form)
        return
    cells = [[str(row.get(column, "")) for column in columns] for row in rows]
    heading = [column.upper().replace("_", " ") for column in columns]
    widths = [max(map(len, column)) for column in zip(heading, *cells, strict=True)]
    for number, line in enumerate([heading, *cells]):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        print(_bold(text) if number == 0 else text)


def print_value(value: Any, form: Format) -> None:
    """One thing; as a table its fields stand below each other."""
    if form is Format.JSON:
        print(json.dumps(value, indent=2, ensure_ascii=False))
    elif form is Format.YAML:
        import yaml

        print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
    else:
        width = max(map(len, value), default=0) + 1
        for name, text in value.items():
            print(f"{_bold(f'{name}:'.ljust(width))} {text}")


def _bold(text: str) -> str:
    styled = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[1m{text}\033[0m" if styled else text


def fail(error: Exception, code: int = 1) -> typer.Exit:
    """Say what went wrong, with its reason, to standard error; raise what this returns."""
    reason = getattr(error, "reason", type(error).__name__)
    print(f"error: {error} [{reason}]", file=sys.stderr)
    return typer.Exit(code)
