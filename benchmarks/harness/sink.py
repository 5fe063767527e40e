"""An SMTP server that takes everything, as a process of its own: `python -m harness.sink`.

Prints its port, then answers lines on its standard input: `count`, `reset`, `dump FILE` (the numbers of
the mails, taken from recipients like u17@…, and when each got its 250, as pairs of 64-bit integers).
"""

import array
import asyncio
import re
import sys
import time
from pathlib import Path

import uvloop

_NUMBER = re.compile(rb"<u(\d+)@")
_EHLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
_OK = b"250 ok\r\n"

taken = array.array("q")


class Session(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = transport
        self._buffer = b""
        self._in_data = False
        self._number = -1
        transport.write(b"220 sink\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Answer all that is complete, in one write."""
        self._buffer += data
        answers = []
        while True:
            if self._in_data:
                _, end, rest = self._buffer.partition(b"\r\n.\r\n")
                if not end:
                    break
                self._buffer, self._in_data = rest, False
                taken.extend((self._number, time.monotonic_ns()))
                answers.append(_OK)
                continue
            line, end, rest = self._buffer.partition(b"\r\n")
            if not end:
                break
            self._buffer = rest
            answers.append(self._answer(line))
        if answers:
            self._transport.write(b"".join(answers))  # type: ignore[attr-defined]

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"EHLO":
            return _EHLO
        if verb == b"RCPT" and (found := _NUMBER.search(line)):
            self._number = int(found[1])
        if verb == b"DATA":
            self._in_data = True
            return b"354 go on\r\n"
        return b"221 bye\r\n" if verb == b"QUIT" else _OK


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        if line[0] == "reset":
            del taken[:]
        if line[0] == "dump":
            await asyncio.to_thread(Path(line[1]).write_bytes, taken.tobytes())
        print(len(taken) // 2, flush=True)


if __name__ == "__main__":
    uvloop.run(main())
