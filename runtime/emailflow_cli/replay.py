"""`emailflow replay`: a flow reads what came in once more. Nobody gets a mail twice."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from emailflow_api.durations import seconds
from emailflow_cli.moments import SECOND, moment, now, rfc3339
from emailflow_cli.output import Format, Output, fail, print_rows
from emailflow_cli.runtime_access import Access, Creds, Nats, RuntimeName, access, connected, read_catalog

if TYPE_CHECKING:
    from emailflow_runtime.adapters.jetstream.connection import Connection
    from emailflow_runtime.app.catalog import Catalog
    from emailflow_runtime.app.preview import Entering, Preview
    from emailflow_runtime.core.replays import Replay

COLUMNS = ("address", "entered", "event", "step", "then")


class Stretch(NamedTuple):
    """What is to be read again. Times are nanoseconds since 1970 UTC."""

    flow: str
    since: int
    until: int


def replay(
    flow: Annotated[str, typer.Option(help="The flow, namespace/name.")],
    since: Annotated[str, typer.Option(help="From then on: RFC 3339, or PT1H for an hour ago.")],
    until: Annotated[str, typer.Option(help="Up to then; else up to now.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say who would enter, and get what.")
    ] = False,
    output: Output = Format.TABLE,
    nats: Nats = "",
    creds: Creds = "",
    runtime: RuntimeName = "",
) -> None:
    """Let a flow read events again, as they came. Who had entered by one is left alone.

    Reaches back no further than retention.dedupe. Exits that came since count before anything is sent.
    """
    from emailflow_runtime.errors import EmailFlowError

    stretch = Stretch(flow.replace("/", "_", 1), moment(since), moment(until) if until else now())
    if stretch.until < stretch.since:
        raise typer.BadParameter("--until: expected a moment after --since")
    try:
        found = asyncio.run(_replay(access(nats, creds, runtime), stretch, dry_run=dry_run))
    except EmailFlowError as error:
        raise fail(error) from error
    if dry_run:
        print_rows([_row(each) for each in found], COLUMNS, output)
    else:
        print(f"{flow} reads it again")


def _row(entering: "Entering") -> dict[str, Any]:
    if entering.result:
        then = f"is over at once: {entering.result}"
    elif entering.mail:
        then = f"gets {entering.mail}, unless a gate holds it back"
    else:
        then = f"waits until {rfc3339(entering.wakes_at)}" if entering.wakes_at else "waits"
    return {
        "contact": entering.contact,
        "address": entering.address,
        "entered": rfc3339(entering.at),
        "source": entering.source,
        "event": entering.event,
        "step": entering.step,
        "then": then,
    }


async def _replay(to: Access, stretch: Stretch, *, dry_run: bool) -> "list[Entering]":
    from emailflow_runtime.app.replay import ReplayRefused

    async with connected(to) as connection:
        catalog = await read_catalog(connection, to.names)
        replay = await _checked(connection, to, catalog, stretch)
        if replay.last < replay.first:
            raise ReplayRefused("nothing came in then")
        if dry_run:
            return await _previewed(connection, to, catalog, replay)
        await _request(connection, to, catalog, replay)
        return []


async def _checked(connection: "Connection", to: Access, catalog: "Catalog", stretch: Stretch) -> "Replay":
    """The stretch by sequences. Raises ReplayRefused."""
    from emailflow_runtime.adapters.jetstream.janitor import JetStreamLogKeeping
    from emailflow_runtime.app.replay import ReplayRefused
    from emailflow_runtime.core.replays import Replay

    if catalog.flow(stretch.flow) is None:
        raise ReplayRefused(f"--flow: there is no flow {stretch.flow.replace('_', '/', 1)}")
    remembered = catalog.plans.runtime.retention_dedupe
    if stretch.since < now() - int(seconds(remembered)) * SECOND:
        raise ReplayRefused(
            f"--since: expected at most {remembered} ago (retention.dedupe): what was before is forgotten"
        )
    keeping = JetStreamLogKeeping(connection, to.names)
    first, last = await keeping.sequence_at(stretch.since), await keeping.sequence_at(stretch.until) - 1
    kept = await keeping.first_sequence()
    if first == kept > 1:
        raise ReplayRefused("--since: EVENTS does not reach back that far any more (retention.events)")
    return Replay(stretch.flow, first, last)


async def _request(connection: "Connection", to: Access, catalog: "Catalog", replay: "Replay") -> None:
    """Put the request into the feed of each shard's flow."""
    from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
    from emailflow_runtime.app.stores import LogEntry
    from emailflow_runtime.core.replays import replay_event

    log = JetStreamEventLog(connection, to.names)
    for shard in range(catalog.plans.runtime.shards):
        end = await log.last_sequence(shard)
        event = replay_event(replay, runtime=catalog.plans.runtime.id, shard=shard, end=end)
        await log.append([LogEntry(event, "", shard)])


async def _previewed(
    connection: "Connection", to: Access, catalog: "Catalog", replay: "Replay"
) -> "list[Entering]":
    from emailflow_runtime.app.preview import Preview

    preview = Preview(catalog, replay.flow, now())
    for shard in range(catalog.plans.runtime.shards):
        await _preview_shard(connection, to, catalog, replay, preview, shard)
    return preview.entering()


async def _preview_shard(
    connection: "Connection",
    to: Access,
    catalog: "Catalog",
    replay: "Replay",
    preview: "Preview",
    shard: int,
) -> None:
    from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
    from emailflow_runtime.adapters.jetstream.history import EventHistory
    from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
    from emailflow_runtime.app.portions import portions
    from emailflow_runtime.app.replay import replayed
    from emailflow_runtime.core.contact import Contact
    from emailflow_runtime.errors import RecordUnreadable

    plan = catalog.flow(replay.flow)
    types = catalog.programs[plan.revision].program.types() if plan else frozenset()
    state = JetStreamStateStore(connection, to.names, shard)
    end = await JetStreamEventLog(connection, to.names).last_sequence(shard)
    async for page in EventHistory(connection, to.names).pages(shard, replay.first, end):
        arrived = [(each.contact, replayed(replay, each, types, 0)) for each in page]
        wanted = [(contact, event) for contact, event in arrived if event is not None]
        unknown = [(replay.flow, each) for each in preview.unknown(contact for contact, _ in wanted)]
        async for keys, enrolments in portions(state.enrolments, unknown):
            contacts = await state.contacts([contact for _, contact in keys])
            for key in keys:
                about, enrolment = contacts.get(key[1]) or Contact(key[1]), enrolments.get(key)
                if isinstance(about, RecordUnreadable):
                    raise about
                if isinstance(enrolment, RecordUnreadable):
                    raise enrolment
                preview.know(about, enrolment)
        for contact, event in wanted:
            preview.take(contact, event)
