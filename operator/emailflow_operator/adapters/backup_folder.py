"""Streams of a runtime in a folder: for each its snapshot (`NAME.snapshot`), and beside it what it held
(`NAME.json`), written last: what has no such file is not whole.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from emailflow_operator.adapters.snapshots import Snapshot
from emailflow_operator.errors import InvalidBackup

PIECE = 128 << 10


class Kept(NamedTuple):
    """A stream in the folder."""

    name: str
    config: dict[str, Any]
    state: dict[str, Any]


class BackupFolder:
    """`keep` streams in it, and read what is `kept`. Raises OSError where the folder can't be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, name: str, taken: Snapshot) -> None:
        """Write one stream down. Raises InvalidBackup when one of that name is there already."""
        head, body = self._folder / f"{name}.json", self._folder / f"{name}.snapshot"
        if head.exists():
            raise InvalidBackup(f"{head}: expected a folder without a backup")
        self._folder.mkdir(parents=True, exist_ok=True)
        with body.open("wb") as file:
            async for piece in taken.pieces:
                file.write(piece)
        head.write_text(json.dumps({"config": taken.config, "state": taken.state}, indent=1) + "\n")

    def kept(self) -> list[Kept]:
        """All streams. Raises InvalidBackup."""
        found = []
        for head in sorted(self._folder.glob("*.json")):
            try:
                said = json.loads(head.read_text())
                found.append(Kept(head.stem, said["config"], said["state"]))
            except (ValueError, KeyError):
                raise InvalidBackup(f"{head}: expected what `emailflow backup take` has written") from None
        if not found:
            raise InvalidBackup(f"{self._folder}: expected a backup, and there is none")
        return found

    async def pieces(self, name: str) -> AsyncIterator[bytes]:
        """A stream's snapshot."""
        with (self._folder / f"{name}.snapshot").open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
