"""Where caught mails are kept: one SQLite file, bounded, written in shared transactions.

What `add` has answered for survives the death of the process (WAL; `synchronous=NORMAL` leaves the file
whole, and only a power cut can take the newest mails). Everything runs on the event loop: no threads.
"""

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from emailflow_api.plans import Address
from emailflow_runtime.adapters.mail_catcher import message, search
from emailflow_runtime.app.ports import CaughtMessage, Clock, InboxPage, OpenedMessage
from emailflow_runtime.errors import Unavailable

KEPT_MESSAGES = 10_000
"""A mail goes when this many newer ones have come."""

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS messages (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  read INTEGER NOT NULL DEFAULT 0,
  return_path TEXT NOT NULL,
  summary BLOB NOT NULL,
  "from" TEXT NOT NULL,
  "to" TEXT NOT NULL,
  subject TEXT NOT NULL,
  anything TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_unread ON messages (sequence) WHERE read = 0;
CREATE TABLE IF NOT EXISTS sources (
  sequence INTEGER PRIMARY KEY REFERENCES messages (sequence) ON DELETE CASCADE,
  octets BLOB NOT NULL
);
"""
_INSERT = (
    'INSERT INTO messages (return_path, summary, "from", "to", subject, anything) VALUES (?, ?, ?, ?, ?, ?)'
)
_WITH_SOURCE = "FROM messages JOIN sources USING (sequence)"


class _Arrival(NamedTuple):
    """A mail on its way to the disk."""

    row: tuple[str | bytes, ...]
    source: bytes
    stored: asyncio.Future[str]


class MessageStore:
    """The inbox on disk; implements the port `Inbox`. Belongs to one event loop and one process."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._database = sqlite3.connect(folder / "mails.sqlite", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._arrivals: list[_Arrival] = []
        self._changed = asyncio.Event()
        self._closed = False
        self._position = clock.now()

    @property
    def position(self) -> int:
        """Starts at the time of opening, so that pages notice a restart."""
        return self._position

    async def add(self, source: bytes, *, return_path: str, recipients: Sequence[str]) -> str:
        """Keep a mail; returns its id once it is stored.

        Mails that come in the same turn of the event loop share a transaction. Raises Unavailable when
        it can't be written.
        """
        summary, words = message.summarize(source, recipients=recipients, received=self._clock.now())
        loop = asyncio.get_running_loop()
        if not self._arrivals:
            loop.call_soon(self._commit)
        arrival = _Arrival(_row(summary, return_path, words), source, loop.create_future())
        self._arrivals.append(arrival)
        return await arrival.stored

    def messages(self, *, query: str = "", start: int = 0, limit: int = 50) -> InboxPage:
        """See the port."""
        terms = search.parse(query)
        texts = [term.text for term in terms]
        # Columns are named by this module; what people typed is bound.
        matching_terms = " AND ".join(f'instr("{term.place}", ?)' for term in terms) or "1"
        found = f"FROM messages WHERE {matching_terms}"
        rows = self._database.execute(
            f"SELECT sequence, read, summary {found} ORDER BY sequence DESC LIMIT ? OFFSET ?",
            [*texts, limit, start],
        )
        counts = f"SELECT count(*), coalesce(sum(read = 0), 0) {found}"
        listed = tuple(_summary(*row) for row in rows)
        matching, matching_unread = self._database.execute(counts, texts).fetchone()
        (total,) = self._database.execute("SELECT count(*) FROM messages").fetchone()
        (unread,) = self._database.execute("SELECT count(*) FROM messages WHERE read = 0").fetchone()
        return InboxPage(listed, total, unread, matching, matching_unread)

    def message(self, message_id: str) -> OpenedMessage | None:
        """See the port."""
        latest = message_id == "latest"
        which = "ORDER BY sequence DESC LIMIT 1" if latest else "WHERE sequence = ?"
        row = self._database.execute(
            f"SELECT sequence, read, summary, return_path, octets {_WITH_SOURCE} {which}",
            [] if latest else [message_id],
        ).fetchone()
        if row is None:
            return None
        *summary, return_path, octets = row
        return message.open_message(octets, summary=_summary(*summary), return_path=return_path)

    def mark_read(self, message_ids: Collection[str] | None, *, read: bool = True) -> None:
        """See the port."""
        self._write("UPDATE messages SET read = ? WHERE read <> ?", (read, read), message_ids)

    def delete(self, message_ids: Collection[str] | None) -> None:
        """See the port."""
        self._write("DELETE FROM messages WHERE 1", (), message_ids)

    async def wait_for_change(self, position: int) -> int:
        """See the port."""
        while self._position == position and not self._closed:
            await self._changed.wait()
        if self._closed:
            raise Unavailable("the inbox is closed")
        return self._position

    async def close(self) -> None:
        """Store what waits, release whoever waits for a change, close the file."""
        self._commit()
        self._closed = True
        self._changed.set()
        self._database.close()

    def _commit(self) -> None:
        """Write everything that has arrived in one transaction, then answer for it."""
        arrivals, self._arrivals = self._arrivals, []
        if not arrivals:
            return
        try:
            ids = self._insert(arrivals)
        except sqlite3.Error as error:
            for arrival in arrivals:
                if not arrival.stored.done():
                    arrival.stored.set_exception(Unavailable(f"the mail can't be stored: {error}"))
            return
        for arrival, message_id in zip(arrivals, ids, strict=True):
            if not arrival.stored.done():
                arrival.stored.set_result(message_id)
        self._announce()

    def _insert(self, arrivals: Sequence[_Arrival]) -> list[str]:
        ids: list[str] = []
        with self._database:
            self._database.execute("BEGIN")
            for arrival in arrivals:
                sequence = self._database.execute(_INSERT, arrival.row).lastrowid
                self._database.execute("INSERT INTO sources VALUES (?, ?)", (sequence, arrival.source))
                ids.append(str(sequence))
            oldest_kept = int(ids[-1]) - KEPT_MESSAGES
            self._database.execute("DELETE FROM messages WHERE sequence <= ?", (oldest_kept,))
        return ids

    def _write(self, statement: str, values: tuple[object, ...], message_ids: Collection[str] | None) -> None:
        if message_ids is not None:
            statement += " AND sequence IN (SELECT value FROM json_each(?))"
            numbers = [int(message_id) for message_id in message_ids if message_id.isdecimal()]
            values = (*values, msgspec.json.encode(numbers).decode())
        if self._database.execute(statement, values).rowcount:
            self._announce()

    def _announce(self) -> None:
        self._position += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _row(summary: CaughtMessage, return_path: str, words: str) -> tuple[str | bytes, ...]:
    """The columns of a new message; those for searching are casefolded."""
    sender = _names([summary.sender])
    recipients = _names([*summary.to, *summary.cc, *summary.bcc])
    subject = summary.subject.casefold()
    anything = f"{subject}\n{sender}\n{recipients}\n{words.casefold()}"
    return return_path, msgspec.json.encode(summary), sender, recipients, subject, anything


def _names(addresses: Sequence[Address]) -> str:
    return "\n".join(f"{address.name} <{address.address}>" for address in addresses).casefold()


def _summary(sequence: int, read: int, encoded: bytes) -> CaughtMessage:
    summary = msgspec.json.decode(encoded, type=CaughtMessage)
    return msgspec.structs.replace(summary, id=str(sequence), read=bool(read))
