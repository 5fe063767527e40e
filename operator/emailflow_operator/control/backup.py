"""A backup of one runtime: all its streams as they are, of one moment, and back again.

Streams are taken one after the other, and records refer to positions in the log: they are a backup only if
nothing was decided meanwhile. So the runtime's pods have to be away; it is looked at afterwards whether they
were. LEASES is left out.
"""

from typing import Any

from emailflow_api.jetstream.naming import Names
from emailflow_operator.adapters.backup_folder import BackupFolder
from emailflow_operator.adapters.nats_connection import NatsConnection
from emailflow_operator.adapters.snapshots import restore, snapshot
from emailflow_operator.errors import StreamsInUse, StreamsNotMoved


async def take(connection: NatsConnection, names: Names, folder: BackupFolder) -> list[str]:
    """Keep all streams of a runtime; gives their names.

    Raises NatsUnreachable, JetStreamRefused, InvalidBackup, StreamsInUse, OSError.
    """
    before = await _positions(connection, names)
    if not before:
        raise StreamsNotMoved(f"{names.namespace}/{names.name}: expected streams, and there are none")
    for name in before:
        async with snapshot(connection, name) as taken:
            await folder.keep(name, taken)
    changed = [
        name
        for name, position in (await _positions(connection, names)).items()
        if before.get(name) != position
    ]
    if changed:
        raise StreamsInUse(
            f"{', '.join(changed)}: written or read meanwhile; expected the runtime's pods to be away"
        )
    return list(before)


async def put_back(connection: NatsConnection, names: Names, folder: BackupFolder) -> list[str]:
    """Restore all streams of a backup where there are none; gives their names.

    Those that are there already with what the backup says stay, so that it can be begun again.
    Raises NatsUnreachable, JetStreamRefused, InvalidBackup, StreamsInUse, StreamsNotMoved, OSError.
    """
    kept = folder.kept()
    there = {each["name"] for each in await connection.streams()}
    for each in kept:
        if not each.name.removeprefix("KV_").startswith(f"{names.prefix}_"):
            raise StreamsNotMoved(f"{each.name}: expected streams of {names.namespace}/{names.name}")
        if each.name in there:
            state = (await connection.api(f"STREAM.INFO.{each.name}"))["state"]
            if state["last_seq"] != each.state["last_seq"]:
                raise StreamsInUse(f"{each.name}: expected no stream, or the one of the backup")
            continue
        held = await restore(connection, each.config, each.state, folder.pieces(each.name))
        if held["last_seq"] < each.state["last_seq"]:
            raise StreamsNotMoved(f"stream {each.name}: expected {each.state}, but {held} has arrived")
    return [each.name for each in kept]


async def _positions(connection: NatsConnection, names: Names) -> dict[str, Any]:
    """Where each stream ends, and where its readers are. What producers publish may come in at any time."""
    found = {}
    for config in await connection.streams():
        name = config["name"]
        if not name.removeprefix("KV_").startswith(f"{names.prefix}_") or name.endswith("_LEASES"):
            continue
        state = (await connection.api(f"STREAM.INFO.{name}"))["state"]
        page = await connection.api(f"CONSUMER.LIST.{name}", {"offset": 0})
        floors = {each["name"]: each["ack_floor"]["stream_seq"] for each in page.get("consumers") or ()}
        found[name] = None if name == names.inbound else (state["last_seq"], floors)
    return found
