"""The files of a spool: segments of records, named by their first sequence, and how far it is drained.

All of it blocks; the spool calls it in a thread, one call at a time for writing and one for reading. A
segment goes when all of it is drained, so space comes back in steps.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path

from emailflow_runtime.adapters.spool import records
from emailflow_runtime.adapters.spool.records import Record

_SUFFIX = ".segment"
_DRAINED = "drained"

log = logging.getLogger(__name__)


class Segment:
    """One file: its first and last sequence (last = first - 1: none), and its good size in bytes."""

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        self.first = first
        self.last = first - 1
        self.size = 0


class Segments:
    """The files in one folder, the oldest first. `drained` is the last sequence that is done with."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        """Open what is there. Raises OSError."""
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._file: FileIO | None = None
        self._start_anew = False
        self._ends: dict[int, tuple[Path, int]] = {}
        """Where the records of the last reading end: the next one goes on there."""
        folder.mkdir(parents=True, exist_ok=True)
        self.drained = self._read_drained()
        self.segments = self._recover()
        self.last = max([self.drained, *(each.last for each in self.segments)])

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(each.size for each in list(self.segments))

    def append(self, payloads: Sequence[bytes]) -> int:
        """Write records and sync them to disk; the last sequence. Raises OSError when they may not be there.

        What failed is cut off, and its sequences are never used again: should it be on disk all the same, it
        is one more event after a restart, and hides none.
        """
        first = self.last + 1
        self.last += len(payloads)
        segment, file = self._active(first)
        data = b"".join(records.encode(first + n, payload) for n, payload in enumerate(payloads))
        try:
            view = memoryview(data)
            while view:
                view = view[file.write(view) or 0 :]
            os.fdatasync(file.fileno())
        except OSError:
            self.close()
            self._start_anew = True
            os.truncate(segment.path, segment.size)
            raise
        segment.size += len(data)
        segment.last = self.last
        return self.last

    def read(self, after: int, end: int, *, max_items: int, max_bytes: int) -> list[Record]:
        """Records with sequences beyond `after`, up to `end`, as many as fit (one at least)."""
        found: list[Record] = []
        size, known, self._ends = 0, self._ends, {}
        for segment in list(self.segments):
            if segment.last <= after:
                continue
            path, offset = known.get(after, (segment.path, 0))
            for record in _records(segment, offset if path == segment.path else 0):
                if record.sequence <= after:
                    continue
                size += len(record.payload)
                if record.sequence > end or len(found) == max_items or (found and size > max_bytes):
                    return found
                found.append(record)
                self._ends[record.sequence] = segment.path, record.end
        return found

    def mark_drained(self, sequence: int) -> None:
        """Remember it, and remove segments that nothing is left of. Not synced: a repeat is harmless."""
        self.drained = sequence
        aside = self._folder / f".{_DRAINED}"
        aside.write_text(f"{sequence}\n")
        aside.replace(self._folder / _DRAINED)
        for segment in self.segments[:-1]:
            if segment.last <= sequence:
                segment.path.unlink(missing_ok=True)
                self.segments.remove(segment)

    def close(self) -> None:
        """Close the file that is written to."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _active(self, first: int) -> tuple[Segment, FileIO]:
        """The segment that grows, and its file; `first` is the sequence that comes next."""
        segment = self.segments[-1] if self.segments else None
        if segment is None or self._start_anew or segment.size >= self._segment_bytes:
            self.close()
            segment = Segment(self._folder / f"{first:020}{_SUFFIX}", first)
            segment.path.touch()
            _sync_folder(self._folder)
            self.segments.append(segment)
            self._start_anew = False
        if self._file is None:
            self._file = FileIO(segment.path, "ab")
        return segment, self._file

    def _read_drained(self) -> int:
        try:
            return int((self._folder / _DRAINED).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _recover(self) -> list[Segment]:
        """The segments as a crash left them; the last one is cut where it stops being whole."""
        found = []
        paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        for path in paths:
            segment = Segment(path, int(path.stem))
            data = path.read_bytes()
            for record in records.decode(data):
                segment.last, segment.size = record.sequence, record.end
            if rest := len(data) - segment.size:
                if path == paths[-1]:
                    log.warning("the spool ends in a torn write of %d bytes, never acknowledged", rest)
                    os.truncate(path, segment.size)
                else:
                    log.error("%d bytes of the spool are damaged: %s", rest, path.name)
            if segment.size or path != paths[-1]:
                found.append(segment)
            else:
                path.unlink()
        return found


def _records(segment: Segment, offset: int) -> Iterator[Record]:
    """The records from an offset on; their ends count from the file's beginning."""
    with segment.path.open("rb") as file:
        file.seek(offset)
        data = file.read(segment.size - offset)
    for record in records.decode(data):
        yield record._replace(end=record.end + offset)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable (fsync(2): the directory needs a sync of its own)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
