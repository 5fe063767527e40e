"""How much of what was published on NATS is in hand at once: counted in bytes, not in messages only."""

import asyncio

import pytest

from emailflow_runtime.adapters.nats_door import NatsDoor
from emailflow_runtime.adapters.nats_door.door import MAX_BYTES
from emailflow_runtime.app.inbound import Inbound

MEBIBYTE = 1 << 20
BATCH = 8


class Queue:
    """A queue that always has another batch of messages of a mebibyte."""

    def __init__(self):
        self.taken = 0

    async def take(self):
        headers = {"ce-specversion": "1.0", "ce-source": "/a", "ce-type": "t"}
        batch = []
        for _ in range(BATCH):
            self.taken += 1
            number = str(self.taken)
            batch.append(Inbound("t", {**headers, "ce-id": number}, b"x" * MEBIBYTE, 1, number))
        return batch

    async def acknowledge(self, messages):
        pass

    async def close(self):
        pass


class Ingest:
    """Accepts when the gate is open, and knows how many wait."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.waiting = 0
        self.most = 0
        self.accepted = 0
        self.enough = asyncio.Event()

    async def accept(self, event):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.gate.wait()
        self.waiting -= 1
        self.accepted += 1
        if self.accepted >= 200:
            self.enough.set()


@pytest.fixture
async def running():
    queue, ingest = Queue(), Ingest()
    door = NatsDoor(queue, ingest, max_bytes=lambda: 2 * MEBIBYTE)
    task = asyncio.create_task(door.run())
    yield queue, ingest
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_no_more_is_taken_than_may_be_in_hand(running):
    queue, ingest = running
    for _ in range(500):
        await asyncio.sleep(0)
    assert queue.taken * MEBIBYTE == MAX_BYTES
    ingest.gate.set()
    async with asyncio.timeout(30):
        await ingest.enough.wait()
    assert ingest.most * MEBIBYTE <= MAX_BYTES + BATCH * MEBIBYTE
