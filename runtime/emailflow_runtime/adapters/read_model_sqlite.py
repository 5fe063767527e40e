"""The read model in SQLite: rows and the position up to which EVENTS has been read change in one transaction.

It can be deleted at any time; reading EVENTS again from its start gives the same rows.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec.structs import astuple

from emailflow_runtime.app.projection import Count, project
from emailflow_runtime.app.stores import DeliveredEvent

VERSION = 1
"""Raised with every change of the rows: an older file is made anew."""
TABLES = ("timeline", "mails", "funnel", "position")
SCHEMA = """
create table timeline (
  event text primary key, sequence integer, at integer, contact text, type text, flow text, journey text,
  step text, mail text, what text
) without rowid;
create index timeline_contact on timeline (contact, sequence);
create index timeline_mail on timeline (mail, sequence) where mail != '';
create table mails (
  mail text primary key, at integer, outcome text, flow text, contact text, journey text, step text,
  template text, provider text, attempt integer, reason text, gates text
) without rowid;
create table funnel (
  flow text, step text, what text, count integer, primary key (flow, step, what)
) without rowid;
create table position (shard integer primary key, sequence integer);
"""
_MOMENT = "insert or ignore into timeline values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COUNT = (
    "insert into funnel values (?, coalesce((select step from mails where mail = ?), ?), ?, 1)"
    " on conflict do update set count = count + 1"
)
_MAIL = """
insert into mails values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set
  at = excluded.at, outcome = excluded.outcome, reason = excluded.reason,
  attempt = max(attempt, excluded.attempt),
  flow = coalesce(nullif(excluded.flow, ''), flow),
  contact = coalesce(nullif(excluded.contact, ''), contact),
  journey = coalesce(nullif(excluded.journey, ''), journey),
  step = coalesce(nullif(excluded.step, ''), step),
  template = coalesce(nullif(excluded.template, ''), template),
  provider = coalesce(nullif(excluded.provider, ''), provider),
  gates = coalesce(nullif(excluded.gates, ''), gates)
"""


class SqliteReadModel:
    """One file, or memory. One process writes it."""

    def __init__(self, path: Path | None = None) -> None:
        """None: in memory. Raises sqlite3.Error."""
        self._database = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._database.row_factory = sqlite3.Row
        if self._database.execute("pragma user_version").fetchone()[0] != VERSION:
            self._make_anew()

    def _make_anew(self) -> None:
        for table in TABLES:
            self._database.execute(f"drop table if exists {table}")
        self._database.executescript(SCHEMA)
        self._database.execute(f"pragma user_version = {VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def position(self, shard: int) -> int:
        """The sequence up to which the shard's events are in here."""
        found = self._database.execute("select sequence from position where shard = ?", (shard,)).fetchone()
        return int(found[0]) if found else 0

    def take(self, shard: int, page: Sequence[DeliveredEvent], upto: int) -> None:
        """Take in events, in order, and that everything up to this sequence has been read."""
        self._database.execute("begin immediate")
        try:
            for found in page:
                self._take(found)
            position = (
                "insert into position values (?, ?) on conflict do update set sequence = excluded.sequence"
            )
            self._database.execute(position, (shard, upto))
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def _take(self, found: DeliveredEvent) -> None:
        projected = project(found)
        if not self._database.execute(_MOMENT, astuple(projected.moment)).rowcount:
            return  # a repeat
        for mail in projected.mails:
            self._database.execute(_MAIL, astuple(mail))
        for count in projected.counts:
            self._count(count)

    def _count(self, count: Count) -> None:
        self._database.execute(_COUNT, (count.flow, count.mail, count.step, count.what))

    # --- reading ------------------------------------------------------------------------------------

    def timeline(self, contact: str) -> list[dict[str, Any]]:
        """What happened about a contact, oldest first."""
        return self._rows("select * from timeline where contact = ? order by sequence", contact)

    def mail(self, mail: str) -> dict[str, Any] | None:
        """A mail, with its decision record."""
        return next(iter(self._rows("select * from mails where mail = ?", mail)), None)

    def mails(self, contact: str) -> list[dict[str, Any]]:
        """The mails of a contact, those whose outcome is newest last."""
        return self._rows("select * from mails where contact = ? order by at, mail", contact)

    def funnel(self, flow: str) -> list[dict[str, Any]]:
        """The counts of a flow (`namespace/name`) by step."""
        return self._rows("select * from funnel where flow = ? order by step, what", flow)

    def _rows(self, query: str, value: str) -> list[dict[str, Any]]:
        with closing(self._database.execute(query, (value,))) as cursor:
            return [dict(row) for row in cursor]

    def dump(self) -> Iterator[str]:
        """Every row in an order of its own, the same for the same rows however they came in."""
        for table in TABLES:
            query = f"select * from {table}"  # noqa: S608 - one of the names above
            rows = sorted(map(tuple, self._database.execute(query)))
            yield from (f"{table} {row!r}" for row in rows)
