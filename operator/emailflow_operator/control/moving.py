"""Streams of earlier versions, which were all in one account, on their way into their runtime's.

One by one, by JetStream's own snapshot, sequences and consumers kept. The account that they come from lets in
the operator only, and the one that they go to is closed until the last is there: nothing is written
meanwhile, producers and pods wait. A stream that has arrived whole is marked in its old place; marked ones
are deleted when all are marked. So it can be stopped and begun again at any point. LEASES stays behind: it is
worth nothing once its owners are gone.
"""

import logging
from typing import Any

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_operator.adapters.nats_connection import NatsConnection
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.adapters.snapshots import restore, snapshot
from emailflow_operator.control.account import Accounts
from emailflow_operator.errors import StreamsNotMoved

MOVED = "emailflow.dev/moved"
BOUND = "emailflow.dev/max-bytes"
"""What a stream's bound was before it stopped keeping room for itself."""

log = logging.getLogger(__name__)


class Moving:
    """For all runtimes. Everything raises NatsUnreachable, JetStreamRefused, StreamsNotMoved."""

    def __init__(self, accounts: Accounts, servers: Servers) -> None:
        self._accounts = accounts
        self._servers = servers
        self._done: set[Names] = set()

    async def move(self, owner: StreamOwner, *, replicas: int) -> None:
        """Bring what a runtime has left in the old account; returns when nothing of it is there."""
        names = Names(owner.namespace, owner.name)
        former = await self._accounts.former_server()
        if former is None or names in self._done:
            return
        source = await self._servers.connection(former)
        there = await source.streams()
        mine = [each for each in there if _belongs(each["name"], names)]
        if mine:
            log.info("%s/%s: moving %d streams into the runtime's account", *names, len(mine))
            bounds = _fitting(mine, await self._accounts.share())
            await self._release_room(source, there)
            was_open = await self._accounts.is_open(names)
            await self._accounts.set_account(owner, replicas=replicas, is_open=False)
            target = await self._servers.connection(await self._accounts.server(names, Role.BACKUP))
            for each in mine:
                if each["name"] != _leases(names):
                    await self._bring(source, target, each["name"], bounds, may_replace=not was_open)
            for each in mine:
                await source.find(f"STREAM.DELETE.{each['name']}")
            log.info("%s/%s: all streams are in the runtime's account", *names)
        self._done.add(names)

    async def discard(self, names: Names) -> None:
        """Delete what a runtime has left in the old account."""
        former = await self._accounts.former_server()
        if former is not None:
            source = await self._servers.connection(former)
            for each in await source.streams():
                if _belongs(each["name"], names):
                    await source.find(f"STREAM.DELETE.{each['name']}")

    async def _release_room(self, source: NatsConnection, streams: list[dict[str, Any]]) -> None:
        """Let streams keep no room beyond what they hold: accounts are about to. None is written to."""
        for config in streams:
            if config.get("max_bytes", -1) > 0:
                metadata = {**(config.get("metadata") or {}), BOUND: str(config["max_bytes"])}
                change = {**config, "max_bytes": -1, "metadata": metadata}
                await source.api(f"STREAM.UPDATE.{config['name']}", change)

    async def _bring(
        self,
        source: NatsConnection,
        target: NatsConnection,
        name: str,
        bounds: dict[str, int],
        *,
        may_replace: bool,
    ) -> None:
        config = (await source.api(f"STREAM.INFO.{name}"))["config"]
        there = await target.find(f"STREAM.INFO.{name}")
        if MOVED in (config.get("metadata") or {}) and there is not None:
            return
        if there is not None:
            if not may_replace:
                raise StreamsNotMoved(
                    f"stream {name} is in the runtime's account and in that of an earlier version: "
                    "expected one of them to be deleted"
                )
            # Not marked, and nobody has been let in yet: the mark was lost, or never made.
            await target.api(f"STREAM.DELETE.{name}")
        async with snapshot(source, name) as taken:
            wanted = _as_before(taken.config, taken.state, bounds.get(name, 0))
            held = await restore(target, wanted, taken.state, taken.pieces)
            _check(name, taken.state, held)
        metadata = {**(config.get("metadata") or {}), MOVED: str(held["last_seq"])}
        await source.api(f"STREAM.UPDATE.{name}", {**config, "metadata": metadata})
        log.info("stream %s: moved, %d messages up to %d", name, held["messages"], held["last_seq"])


def _belongs(stream: str, names: Names) -> bool:
    # Names are DNS labels: no underscore can be part of one.
    return stream.removeprefix("KV_").startswith(f"{names.prefix}_")


def _leases(names: Names) -> str:
    return f"KV_{names.bucket('LEASES')}"


def _fitting(streams: list[dict[str, Any]], share: int) -> dict[str, int]:
    """Bounds of streams that had one: the same, or all less by the same factor, so that they fit into the
    runtime's share and leave three eighths of it to those without."""
    had = {
        each["name"]: int((each.get("metadata") or {}).get(BOUND) or each["max_bytes"]) for each in streams
    }
    bounds = {name: bound for name, bound in had.items() if bound > 0}
    room, wanted = share * 5 // 8, sum(bounds.values())
    return {name: bound if wanted <= room else bound * room // wanted for name, bound in bounds.items()}


def _as_before(config: dict[str, Any], state: dict[str, Any], bound: int) -> dict[str, Any]:
    """The configuration without our marks, with a bound that drops nothing of what is there."""
    said = config.get("metadata") or {}
    metadata = {key: value for key, value in said.items() if key not in {BOUND, MOVED}}
    return {**config, "metadata": metadata, "max_bytes": max(bound, int(state["bytes"])) if bound else -1}


def _check(name: str, taken: dict[str, Any], held: dict[str, Any]) -> None:
    """Compare what was taken and what has arrived. Raises StreamsNotMoved.

    Timers go on meanwhile: what is due is written by the server itself, and what has outlived its TTL goes.
    """
    said = ("first_seq", "last_seq", "consumer_count")
    if any(held.get(key, 0) < taken.get(key, 0) for key in said):
        raise StreamsNotMoved(f"stream {name}: expected {taken}, but {held} has arrived")
