"""`emailflow`: the commands, each in a module of its own. Only arguments are handled here."""

import typer

from emailflow_cli.backup import backup
from emailflow_cli.dead_letters import dead_letters
from emailflow_cli.dev import dev
from emailflow_cli.inject import inject
from emailflow_cli.lint import lint
from emailflow_cli.operator import operator
from emailflow_cli.render import render
from emailflow_cli.replay import replay
from emailflow_cli.runtime import runtime
from emailflow_cli.send_event import send_event
from emailflow_cli.sidecar import sidecar
from emailflow_cli.why import why

app = typer.Typer(
    name="emailflow",
    help="Event-driven email: CloudEvents in, the right mail out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.command()(dev)
app.command()(inject)
app.command()(lint)
app.command()(operator)
app.command()(render)
app.command()(runtime)
app.command()(sidecar)
app.command("send-event")(send_event)
app.add_typer(backup, name="backup")
app.add_typer(dead_letters, name="dead-letters")
app.command()(replay)
app.command()(why)


def main() -> None:
    """The console script."""
    app()
