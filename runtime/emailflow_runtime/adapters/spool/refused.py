"""Events that the door refused after they had been accepted: kept beside the spool, for people.

One JSON object a line, `reason` and `event` (structured). Two files, of which the older one goes when both
are full: the newest refusals are the ones that matter.
"""

from pathlib import Path

import msgspec

NEWER, OLDER = "refused.jsonl", "refused.1.jsonl"


class RefusedEvents:
    """A bounded list in a folder. Blocks."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._half = max_bytes // 2

    def keep(self, event: bytes, reason: str) -> None:
        """Append one event, a JSON object. One that is larger than the bound is left out. Raises OSError."""
        line = msgspec.json.encode({"reason": reason, "event": msgspec.Raw(event)}) + b"\n"
        if len(line) > self._half:
            line = msgspec.json.encode({"reason": reason, "bytes": len(event)}) + b"\n"
        path = self._folder / NEWER
        if path.exists() and path.stat().st_size + len(line) > self._half:
            path.replace(self._folder / OLDER)
        with path.open("ab") as file:
            file.write(line)
