"""Replies: what a server says, read from bytes that arrive in any pieces (RFC 5321 section 4.2).

Limits keep a server from filling the memory. What people will read is cleaned of control characters.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from emailflow_runtime.core.smtp.errors import InvalidReply

MAX_LINE = 4096
"""Octets. RFC 5321 section 4.5.3.1.5 allows 512; some servers say more."""
MAX_LINES = 256
"""Lines of one reply."""
SHORT = 80
"""Octets of a line that is remembered."""
MAX_TEXT = 1000
"""Characters of a reply's text that an outcome keeps."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=\s|$)")
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Reply(NamedTuple):
    """One reply. `enhanced` is its RFC 3463 status code, empty when there was none (RFC 2034)."""

    code: int
    lines: tuple[str, ...] = ()
    enhanced: str = ""

    @property
    def text(self) -> str:
        """All lines as one, for people; without the enhanced code."""
        return " ".join(filter(None, self.lines))[:MAX_TEXT]

    @property
    def kind(self) -> int:
        """The first digit: 2 done, 3 go on, 4 not now, 5 never (RFC 5321 section 4.2.1)."""
        return self.code // 100


class ReplyReader:
    """Collects bytes and gives whole replies."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = 0
        self._lines: list[bytes] = []

    @property
    def pending(self) -> bool:
        """Whether a reply has begun that is not whole yet."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that these bytes complete. Raises InvalidReply, after which the reader is useless."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise InvalidReply(f"a reply's line is longer than {MAX_LINE} octets")
        replies = [self._line(line.removesuffix(b"\r")) for line in lines]
        return [reply for reply in replies if reply is not None]

    def _line(self, line: bytes) -> Reply | None:
        if len(line) <= SHORT and not self._lines and (alone := _alone(line)) is not None:
            return alone
        parsed = _LINE.fullmatch(line) if len(line) <= MAX_LINE else None
        if parsed is None:
            raise InvalidReply("the server's line does not begin with a reply code")
        code, separator, text = int(parsed[1]), parsed[2], parsed[3] or b""
        if self._lines and code != self._code:
            raise InvalidReply("the lines of one reply have different codes")
        self._code = code
        self._lines.append(text)
        if separator == b"-":
            if len(self._lines) >= MAX_LINES:
                raise InvalidReply(f"a reply has more than {MAX_LINES} lines")
            return None
        reply = _reply(code, self._lines)
        self._lines = []
        return reply


@lru_cache(maxsize=256)
def _alone(line: bytes) -> Reply | None:
    """The reply that this line is, if it needs no other. Servers say the same, mail after mail."""
    parsed = _LINE.fullmatch(line)
    if parsed is None or parsed[2] == b"-":
        return None
    return _reply(int(parsed[1]), [parsed[3] or b""])


def _reply(code: int, lines: list[bytes]) -> Reply:
    texts = [_NOT_PRINTABLE.sub(" ", line.decode("utf-8", "replace")).strip() for line in lines]
    found = _ENHANCED.match(texts[-1])
    if found is None or int(found[1]) != code // 100:
        return Reply(code, tuple(texts))
    # RFC 2034 section 4: the code stands on every line.
    return Reply(code, tuple(text.removeprefix(found[0]).lstrip() for text in texts), found[0])
