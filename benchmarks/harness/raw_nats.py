"""NATS on a plain blocking socket: the cheapest way to publish, so that a load generator costs little.

Enough of the protocol for publishing with acknowledgements, and nothing more.
"""

import json
import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

_MESSAGE = re.compile(rb"H?MSG \S+ (\S+) (?:\S+ )?(?:\d+ )?(\d+)\r\n")
Frame = tuple[bytes, bytes, bytes]
"""Subject, headers without first and last line, payload."""


class RawNats:
    """One connection. Acknowledgements are counted, and a refusal is raised."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._batches = 0
        self._inbox = b"_INBOX.bench%d" % self._socket.getsockname()[1]
        self._socket.sendall(
            b"CONNECT "
            + json.dumps({"headers": True, "verbose": False, "no_responders": True}).encode()
            + b"\r\nSUB %s.* 1\r\n" % self._inbox
        )

    def publish_batch(self, frames: Sequence[Frame]) -> None:
        """One atomic batch; returns when it is on disk."""
        self._batches += 1
        batch = b"b%d-%d" % (self._socket.getsockname()[1], self._batches)
        out = []
        for number, (subject, headers, payload) in enumerate(frames, 1):
            last = b"Nats-Batch-Commit: 1\r\n" if number == len(frames) else b""
            head = b"NATS/1.0\r\n%bNats-Batch-Id: %b\r\nNats-Batch-Sequence: %d\r\n%b\r\n"
            full = head % (headers, batch, number, last)
            reply = b" %b.%d" % (self._inbox, number) if number in {1, len(frames)} else b""
            out.append(
                b"HPUB %b%b %d %d\r\n%b%b\r\n"
                % (subject, reply, len(full), len(full) + len(payload), full, payload)
            )
        self._socket.sendall(b"".join(out))
        self._answers(2 if len(frames) > 1 else 1)

    def publish_each(self, frames: Sequence[Frame]) -> None:
        """Each on its own, all at once; returns when all are on disk."""
        out = []
        for number, (subject, headers, payload) in enumerate(frames, 1):
            full = b"NATS/1.0\r\n%b\r\n" % headers
            out.append(
                b"HPUB %b %b.%d %d %d\r\n%b%b\r\n"
                % (subject, self._inbox, number, len(full), len(full) + len(payload), full, payload)
            )
        self._socket.sendall(b"".join(out))
        self._answers(len(frames))

    def publish(self, frames: Sequence[Frame]) -> None:
        """As a door does: a few each on its own, more as a batch."""
        (self.publish_each if len(frames) <= 8 else self.publish_batch)(frames)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _answers(self, wanted: int) -> None:
        while wanted:
            self._buffer += self._socket.recv(65536)
            while self._buffer:
                if found := _MESSAGE.match(self._buffer):
                    end = found.end() + int(found[2])
                    if len(self._buffer) < end + 2:
                        break
                    body = self._buffer[found.end() : end]
                    self._buffer = self._buffer[end + 2 :]
                    if b'"error"' in body or b"NATS/1.0 503" in body:
                        raise RuntimeError(body.decode())
                    wanted -= 1
                    continue
                line, separator, rest = self._buffer.partition(b"\r\n")
                if not separator or line.startswith((b"MSG", b"HMSG")):
                    break
                if line == b"PING":
                    self._socket.sendall(b"PONG\r\n")
                elif line.startswith(b"-ERR"):
                    raise RuntimeError(line.decode())
                self._buffer = rest
