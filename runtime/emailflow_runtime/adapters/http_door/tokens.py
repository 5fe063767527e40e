"""Who may send: bearer tokens, kept as hashes and compared in constant time. No token is ever logged."""

import hashlib
import hmac
import logging
import os
import re
from pathlib import Path
from typing import Protocol

from emailflow_runtime.adapters.http_door.errors import Unauthorized
from emailflow_runtime.errors import EmailFlowError, Unavailable

# RFC 6750 section 2.1 (b64token), with an optional name before a colon.
_LINE = re.compile(r"(?:[A-Za-z0-9._\-]+:)?([A-Za-z0-9\-._~+/]+=*)")

logger = logging.getLogger(__name__)


class TokenVerifier(Protocol):
    """Tells good tokens from others."""

    async def verify(self, token: str) -> None:
        """Return when the bearer may send events.

        Raises Unauthorized (nobody's token), Forbidden (its bearer may not), Unavailable (can't tell now).
        """


class Anonymous:
    """In a TokenVerifier's place: whoever reaches the receiver may send, without a token."""


class InvalidTokenFile(EmailFlowError):
    """The file of tokens can't be read or has a line that is no token."""

    reason = "InvalidTokenFile"


class FileTokens:
    """The tokens of a file: one a line, `token` or `name:token`; empty lines and `#` comments are skipped.

    The file is read again when it has changed, so that replacing a Secret is enough. While it can't be read
    nobody is let in, and nobody is told that their token is wrong.
    """

    def __init__(self, path: Path, *, late: bool = False) -> None:
        """Raises InvalidTokenFile, unless the file may come late."""
        self._path = path
        self._state: tuple[int, ...] = ()
        self._hashes: list[bytes] = []
        if not late:
            self._refresh()

    async def verify(self, token: str) -> None:
        """Raises Unauthorized for a token that isn't in the file, Unavailable when that can't be read."""
        try:
            self._refresh()
        except InvalidTokenFile as error:
            logger.error("%s", error, extra={"reason": error.reason})
            raise Unavailable("tokens can't be checked at the moment", retry_after=5) from None
        given = _hash(token)
        # All of them, so that the time taken does not depend on which one fits.
        if sum(hmac.compare_digest(given, known) for known in self._hashes) == 0:
            raise Unauthorized("Authorization: expected a token that is known here")

    def _refresh(self) -> None:
        try:
            state = _state(self._path.stat())
            if state != self._state:
                self._hashes = _read(self._path)
                self._state = state
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidTokenFile(f"{self._path}: can't be read: {type(error).__name__}") from None


def _state(stat: os.stat_result) -> tuple[int, ...]:
    """What differs when a file was written, or replaced, as Kubernetes replaces a mounted Secret."""
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(path: Path) -> list[bytes]:
    hashes = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        line = text.strip()
        if not line or line.startswith("#"):
            continue
        if (match := _LINE.fullmatch(line)) is None:
            raise InvalidTokenFile(f"{path}: line {number}: expected a token, or name:token")
        hashes.append(_hash(match[1]))
    return hashes


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
