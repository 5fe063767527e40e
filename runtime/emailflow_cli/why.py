"""`emailflow why`: what happened about a person or a mail, and why each mail went out or didn't."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emailflow_cli.moments import rfc3339
from emailflow_cli.output import Format, Output, fail, print_rows, print_value
from emailflow_cli.runtime_access import Access, Creds, Nats, RuntimeName, access, connected, read_catalog
from emailflow_runtime.errors import EmailFlowError

if TYPE_CHECKING:
    from emailflow_runtime.adapters.jetstream.connection import Connection
    from emailflow_runtime.adapters.read_model_sqlite import SqliteReadModel

COLUMNS = ("at", "flow", "step", "type", "what", "mail")


class NothingKnown(EmailFlowError):
    """The log tells nothing of this person or mail."""

    reason = "NothingKnown"


def why(
    about: Annotated[str, typer.Argument(help="An address, a mapped id, a mail's id, or its Message-ID.")],
    read_model: Annotated[
        Path | None, typer.Option(help="Keep what has been read here; else EVENTS is read from its start.")
    ] = None,
    output: Output = Format.TABLE,
    nats: Nats = "",
    creds: Creds = "",
    runtime: RuntimeName = "",
) -> None:
    """Explain every mail and every non-mail, from the log."""
    from emailflow_runtime.adapters.read_model_sqlite import SqliteReadModel

    try:
        with closing(SqliteReadModel(read_model)) as model:
            found = asyncio.run(_explain(access(nats, creds, runtime), model, about.strip()))
    except (EmailFlowError, sqlite3.Error) as error:
        raise fail(error) from error
    if not found["timeline"]:
        raise fail(NothingKnown("the log tells nothing of it, or nothing any more (retention.events)"))
    if output is not Format.TABLE:
        print_value(found, output)
        return
    print_rows(found["timeline"], COLUMNS, output)
    for mail in found["mails"]:
        print()
        print_value({name: text for name, text in mail.items() if text not in {"", 0}}, output)


async def _explain(to: Access, model: "SqliteReadModel", about: str) -> dict[str, Any]:
    async with connected(to) as connection:
        shards = (await read_catalog(connection, to.names)).plans.runtime.shards
        for shard in range(shards):
            await _read(connection, to, model, shard)
        mail = model.mail(about.strip("<>").partition("@")[0])
        if mail is not None:
            mails = [mail]
            contact = mail["contact"]
        else:
            contact = await _contact(connection, to, about)
            mails = model.mails(contact)
    moments = model.timeline(contact)
    if mail is not None:
        moments = [each for each in moments if each["journey"] == mail["journey"]]
    return {"timeline": list(map(_shown, moments)), "mails": list(map(_mail, mails))}


async def _read(connection: "Connection", to: Access, model: "SqliteReadModel", shard: int) -> None:
    """Bring the read model up to the end that EVENTS has now."""
    from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
    from emailflow_runtime.adapters.jetstream.history import EventHistory

    end = await JetStreamEventLog(connection, to.names).last_sequence(shard)
    history = EventHistory(connection, to.names)
    async for page in history.pages(shard, model.position(shard) + 1, end):
        if page:
            model.take(shard, page, page[-1].sequence)


async def _contact(connection: "Connection", to: Access, about: str) -> str:
    """The key of whoever this identifier leads to."""
    from emailflow_runtime.adapters.jetstream.alias_bucket import AliasBucket
    from emailflow_runtime.core.identity import contact_key, normalize_address

    key = contact_key("address", normalize_address(about)) if "@" in about else contact_key("id", about)
    found = await AliasBucket(connection, to.names.bucket("ALIASES")).lookup([key])
    return found.get(key, key)


def _shown(moment: dict[str, Any]) -> dict[str, Any]:
    return {**moment, "at": rfc3339(moment["at"])}


def _mail(mail: dict[str, Any]) -> dict[str, Any]:
    """A mail with its gates in words: `consent: Pass, cap: Skip (Capped)`."""
    gates = json.loads(mail["gates"] or "[]")
    words = [
        f"{gate['gate']}: {gate['verdict']}" + (f" ({gate['reason']})" if gate.get("reason") else "")
        for gate in gates
    ]
    return {**mail, "at": rfc3339(mail["at"]), "gates": ", ".join(words)}
