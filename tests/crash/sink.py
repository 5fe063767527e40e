"""An SMTP server that writes every mail down before it answers for it: `sink.py FOLDER`.

A process of its own, so that no other process's end takes its word back. `mails` in the folder gets one line
of JSON a mail, `port` tells where it listens. Once a mail is written down, those to `lost.example` get the
end of the connection for an answer, and those to `held.example` none at all.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from email import message_from_bytes
from pathlib import Path

LOST, HELD = "@lost.example", "@held.example"


class Sink:
    """Takes whatever comes."""

    def __init__(self, folder: Path) -> None:
        self._mails = os.open(folder / "mails", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        writer.write(b"220 sink.example\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb, answer = line.upper(), "250 ok"
            if verb.startswith("EHLO"):
                answer = "250-sink.example\r\n250 PIPELINING"
            elif verb.startswith("RCPT"):
                recipient = line.partition("<")[2].partition(">")[0]
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                self._take(recipient, await reader.readuntil(b"\r\n.\r\n"))
                if recipient.endswith(LOST):
                    return
                if recipient.endswith(HELD):
                    await reader.read()
                    return
                answer = "250 taken"
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            writer.write(answer.encode() + b"\r\n")

    def _take(self, recipient: str, content: bytes) -> None:
        mail = message_from_bytes(content)
        line = {"to": recipient, "id": mail["Message-ID"], "subject": mail["Subject"]}
        os.write(self._mails, json.dumps(line).encode() + b"\n")


async def serve(folder: Path) -> None:
    sink = Sink(folder)
    server = await asyncio.start_server(sink.connected, "127.0.0.1", 0)
    port = folder / "port"
    port.with_suffix(".new").write_text(str(server.sockets[0].getsockname()[1]))
    port.with_suffix(".new").replace(port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
