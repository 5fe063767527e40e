"""Posts events to a door over kept connections, as a process of its own: `python -m harness.http_load JSON`.

With `rate` in an open loop (a request is due at its moment, whatever became of those before), without as fast
as the connections answer. Prints JSON: requests answered 202, others, seconds, latencies' percentiles.
"""

import asyncio
import json
import sys
import time
from collections import deque

import uvloop

from harness.events import NOTE
from harness.results import percentiles
from harness.rig import TYPE


def request(number: int, run: str) -> bytes:
    """One event in binary mode, about 700 bytes in all."""
    address = f"u{number}@example.com"
    body = json.dumps({"email": address, "total": 10, "cart_id": f"c{number}", "note": NOTE}).encode()
    head = (
        f"POST /events HTTP/1.1\r\nHost: localhost\r\nce-specversion: 1.0\r\nce-id: {run}-{number}\r\n"
        f"ce-source: /bench\r\nce-type: {TYPE}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for the first request."""
        self._transport = transport
        self._load.free(self)

    def post(self, content: bytes, due: float) -> None:
        """Send a request that was due at this moment."""
        self._due = due
        self._transport.write(content)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """An answer: all of them are small, and a 202 has no body."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = b""
            self._load.answered(head.startswith(b"HTTP/1.1 202"), time.monotonic() - self._due)
            self._load.free(self)


class Load:
    """All requests of one run."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self._requests = deque(enumerate(requests))
        self._rate = rate
        self._idle: deque[Client] = deque()
        self._left = len(requests)
        self.latencies: list[float] = []
        self.refused = 0
        self.done = asyncio.Event()
        self.start = 0.0

    def free(self, client: Client) -> None:
        """This connection can take the next request."""
        self._idle.append(client)
        if self.start:
            self.feed()

    def answered(self, accepted: bool, took: float) -> None:
        """One request is over."""
        self._left -= 1
        if accepted:
            self.latencies.append(took)
        else:
            self.refused += 1
        if not self._left:
            self.done.set()

    def feed(self) -> None:
        """Send whatever is due on what is free."""
        now = time.monotonic()
        while self._requests and self._idle:
            due = self.start + self._requests[0][0] / self._rate if self._rate else now
            if due > now:
                return
            self._idle.popleft().post(self._requests.popleft()[1], due)


async def main() -> None:
    """Run and print."""
    options = json.loads(sys.argv[1])
    first = options["first"]
    load = Load([request(first + each, "h") for each in range(options["count"])], options.get("rate", 0))
    loop = asyncio.get_running_loop()
    for _ in range(options["connections"]):
        await loop.create_connection(lambda: Client(load), "127.0.0.1", options["port"])
    load.start = time.monotonic()
    load.feed()
    while not load.done.is_set():
        load.feed()
        await asyncio.sleep(0.001 if load._rate else 0.05)
    took = time.monotonic() - load.start
    print(
        json.dumps(
            {
                "accepted": len(load.latencies),
                "refused": load.refused,
                "seconds": took,
                **percentiles(load.latencies),
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main())
