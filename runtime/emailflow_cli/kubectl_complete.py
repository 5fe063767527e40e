"""Completion of `kubectl emailflow`, as kubectl asks plugins for it: words a line, then a directive.

kubectl runs `kubectl_complete-emailflow` with the words so far, the unfinished one last, and reads what its
own completion would print (`:4`: and no file names).
"""

import sys
from collections.abc import Sequence
from typing import Any

NO_FILES = ":4"


def completions(words: Sequence[str]) -> list[str]:
    """What may stand in the place of the last word."""
    import typer

    from emailflow_cli.kubectl_plugin import plugin

    command: Any = typer.main.get_command(plugin)
    *before, unfinished = words or [""]
    for word in before:
        command = getattr(command, "commands", {}).get(word, command)
    candidates = {
        name: command.commands[name].get_short_help_str() for name in getattr(command, "commands", {})
    }
    if unfinished.startswith("-") or not candidates:
        candidates = {
            option: parameter.help or ""
            for parameter in command.params
            for option in parameter.opts
            if option.startswith("--")
        }
    found = {name: text for name, text in candidates.items() if name.startswith(unfinished)}
    return [f"{name}\t{text}" if text else name for name, text in sorted(found.items())]


def main() -> None:
    """The console script `kubectl_complete-emailflow`."""
    print("\n".join([*completions(sys.argv[1:]), NO_FILES]))


if __name__ == "__main__":
    main()
