"""The reference of the command line, made from the commands themselves: docs/reference/cli.md."""

from collections.abc import Iterator
from typing import Any

_HEAD = """# Command line

`emailflow`, and `kubectl emailflow` (the console script `kubectl-emailflow` on the PATH; kubectl 1.26 or
newer completes its words). Commands end with 0 when all went well, with 1 when something didn't, and with 2
when they were called wrongly. Errors go to standard error, each with its [reason](reasons.md). Headings of
tables are bold on a terminal, unless `NO_COLOR` is set.
"""


def command_reference() -> str:
    """The page."""
    import typer

    from emailflow_cli.kubectl_plugin import plugin
    from emailflow_cli.main import app

    parts = [_HEAD]
    for name, tree in (("emailflow", app), ("kubectl emailflow", plugin)):
        for path, command in _commands(name, typer.main.get_command(tree)):
            parts.append(_section(path, command))
    return "\n".join(parts)


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below, groups left out, in the order of their names."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name in sorted(below):
        yield from _commands(f"{path} {name}", below[name])


def _section(path: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    usage = " ".join([path, *(_shown(each) for each in arguments)])
    lines = [f"## {usage}", "", *_paragraphs(command.help or ""), ""]
    lines += [f"- `{_shown(each)}`: {each.help}" for each in arguments if each.help]
    lines += [_option(each) for each in options if "--help" not in each.opts and not each.hidden]
    return "\n".join(lines).rstrip() + "\n"


def _shown(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    kept = option.default if option.default not in {None, "", False} and not callable(option.default) else ""
    default = f" Default: `{getattr(kept, 'value', kept)}`." if kept != "" else ""
    variable = f" Or `{option.envvar}`." if option.envvar else ""
    return f"- {names}: {option.help or ''}{default}{variable}"
