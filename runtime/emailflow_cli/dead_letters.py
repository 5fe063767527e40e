"""`emailflow dead-letters`: what could not be handled, looked at, handed on, or thrown away."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emailflow_api.jetstream.naming import reader_name
from emailflow_cli.moments import moment, rfc3339
from emailflow_cli.output import Format, Output, fail, print_rows, print_value
from emailflow_cli.runtime_access import Access, Creds, Nats, RuntimeName, access, connected, read_catalog

if TYPE_CHECKING:
    from emailflow_runtime.adapters.jetstream.connection import Connection
    from emailflow_runtime.app.redrive import Letter

COLUMNS = ("id", "kept", "reason", "flow", "type", "message")

dead_letters = typer.Typer(no_args_is_help=True, help="What could not be handled, and what becomes of it.")

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Of the letters.")]
Reason = Annotated[str, typer.Option(help="Of this reason only.")]
Flow = Annotated[str, typer.Option(help="Of this flow (namespace/name) only, or of `_receiver`.")]
Since = Annotated[str, typer.Option(help="Kept since then: RFC 3339, or PT1H for an hour ago.")]
Everything = Annotated[bool, typer.Option("--all", help="All letters.")]


class Choice:
    """Which letters are meant."""

    def __init__(self, ids: Sequence[int] | None, reason: str, flow: str, since: str) -> None:
        self.ids = list(ids or ())
        self.reason = reason
        self.origin = flow.replace("/", "_") if not flow.startswith("_") else flow
        self.since = moment(since) if since else 0

    def says_nothing(self) -> bool:
        """Whether it would be all of them."""
        return not (self.ids or self.reason or self.origin or self.since)

    async def letters(self, connection: "Connection", to: Access) -> "AsyncIterator[Letter]":
        """The letters, oldest first, as they stand when asked. Raises Unavailable."""
        from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader

        reader = DeadLetterReader(connection, to.names)
        if not self.ids:
            async for letter in reader.letters(reason=self.reason, origin=self.origin):
                if letter.at >= self.since:
                    yield letter
        for sequence in self.ids:
            found = await reader.letter(sequence)
            if found is None:
                print(f"error: there is no dead letter {sequence}", file=sys.stderr)
            else:
                yield found


def summary(letter: "Letter") -> dict[str, Any]:
    """A letter without what it says of people."""
    return {
        "id": letter.sequence,
        "kept": rfc3339(letter.at),
        "reason": letter.reason,
        "flow": reader_name(letter.origin),
        "type": letter.event.type if letter.event else "",
        "source": letter.event.source if letter.event else "",
        "event": letter.event.id if letter.event else "",
        "sequence": letter.log_sequence,
        "step": letter.step,
        "message": letter.message,
    }


@dead_letters.command("list")
def list_letters(
    reason: Reason = "",
    flow: Flow = "",
    since: Since = "",
    output: Output = Format.TABLE,
    nats: Nats = "",
    creds: Creds = "",
    runtime: RuntimeName = "",
) -> None:
    """List dead letters, oldest first."""
    found = _run(_collect(access(nats, creds, runtime), Choice(None, reason, flow, since)))
    print_rows([summary(letter) for letter in found], COLUMNS, output)


@dead_letters.command()
def show(
    letter: Annotated[int, typer.Argument(metavar="ID")],
    output: Output = Format.YAML,
    nats: Nats = "",
    creds: Creds = "",
    runtime: RuntimeName = "",
) -> None:
    """Show one letter whole, with its event. The event may say things about a person; what its EventType
    calls sensitive is hidden."""
    found, sensitive = _run(_read(access(nats, creds, runtime), Choice([letter], "", "", "")))
    if not found:
        raise typer.Exit(1)
    print_value({**summary(found[0]), "cloudevent": _event(found[0], sensitive)}, output)


@dead_letters.command()
def redrive(
    ids: Ids = None,
    reason: Reason = "",
    flow: Flow = "",
    since: Since = "",
    everything: Everything = False,
    nats: Nats = "",
    creds: Creds = "",
    runtime: RuntimeName = "",
) -> None:
    """Give letters to the flow that failed, once; a receiver's letters go through the receiver again.

    Exits with 1 when one was refused; that one stays.
    """
    choice = _meant(Choice(ids, reason, flow, since), everything)
    done, refused = _run(_redrive(access(nats, creds, runtime), choice))
    _conclude("redriven", done, refused + max(0, len(choice.ids) - done - refused))


@dead_letters.command()
def discard(
    ids: Ids = None,
    reason: Reason = "",
    flow: Flow = "",
    since: Since = "",
    everything: Everything = False,
    nats: Nats = "",
    creds: Creds = "",
    runtime: RuntimeName = "",
) -> None:
    """Throw letters away, for good."""
    choice = _meant(Choice(ids, reason, flow, since), everything)
    done = _run(_discard(access(nats, creds, runtime), choice))
    _conclude("discarded", done, max(0, len(choice.ids) - done))


def _meant(choice: Choice, everything: bool) -> Choice:
    if choice.says_nothing() != everything:
        raise typer.BadParameter("expected ids, --reason, --flow or --since, or else --all")
    return choice


def _conclude(done: str, count: int, failed: int) -> None:
    print(f"{count} {done}" + (f", {failed} not" if failed else ""))
    if failed:
        raise typer.Exit(1)


def _run(task: Any) -> Any:
    from emailflow_runtime.errors import EmailFlowError

    try:
        return asyncio.run(task)
    except EmailFlowError as error:
        raise fail(error) from error


async def _collect(to: Access, choice: Choice) -> "list[Letter]":
    async with connected(to) as connection:
        return [letter async for letter in choice.letters(connection, to)]


async def _read(to: Access, choice: Choice) -> "tuple[list[Letter], dict[str, tuple[str, ...]]]":
    """Letters, and the sensitive paths by type. Raises Unavailable, also where there is no runtime."""
    async with connected(to) as connection:
        types = (await read_catalog(connection, to.names)).plans.event_types
        letters = [letter async for letter in choice.letters(connection, to)]
        return letters, {each.type: each.sensitive for each in types.values()}


async def _redrive(to: Access, choice: Choice) -> tuple[int, int]:
    from emailflow_runtime.adapters.jetstream.alias_bucket import AliasBucket
    from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader
    from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
    from emailflow_runtime.app.redrive import Redriver, RedriveRefused
    from emailflow_runtime.errors import InvalidEvent

    done = refused = 0
    async with connected(to) as connection:
        catalog = await read_catalog(connection, to.names)
        log = JetStreamEventLog(connection, to.names)
        aliases = AliasBucket(connection, to.names.bucket("ALIASES"))
        redriver = Redriver(catalog, log, aliases, DeadLetterReader(connection, to.names))
        # Collected first: what fails again at once is a new letter, which this run must not meet.
        for letter in [each async for each in choice.letters(connection, to)]:
            try:
                await redriver.redrive(letter)
                done += 1
            except (RedriveRefused, InvalidEvent) as error:
                print(f"letter {letter.sequence}: {error} [{error.reason}]", file=sys.stderr)
                refused += 1
    return done, refused


async def _discard(to: Access, choice: Choice) -> int:
    from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader

    async with connected(to) as connection:
        reader = DeadLetterReader(connection, to.names)
        letters = [each async for each in choice.letters(connection, to)]
        for letter in letters:
            await reader.discard(letter.sequence)
        return len(letters)


def _event(letter: "Letter", sensitive: Mapping[str, Sequence[str]]) -> Any:
    """The event as its JSON object, masked; bytes that were no event as text, unless any type has something
    to hide, since it can't be told whose they are."""
    from emailflow_runtime.core.cloudevents import json_format
    from emailflow_runtime.core.masking import HIDDEN, masked

    if letter.event is None:
        return HIDDEN if any(sensitive.values()) else letter.raw.decode(errors="backslashreplace")
    return masked(json.loads(json_format.encode(letter.event)), sensitive)
