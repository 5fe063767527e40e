"""The sample of docs/reference/nats.md does what the page says."""

import asyncio
import re
import sys
from pathlib import Path

from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import RuntimePlan
from emailflow_runtime.adapters.jetstream.inbound import InboundStream
from emailflow_runtime.adapters.jetstream.provision import provision_streams
from emailflow_runtime.adapters.nats_door import NatsDoor

from .conftest import WITHIN

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "nats.md").read_text()


async def test_the_sample_prints_what_the_page_shows(server, connection, ingest):
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n```\n(.*?)```", PAGE, re.DOTALL)
    await provision_streams(connection, RuntimePlan("default", "default"), events_bytes=256 << 20)
    queue = InboundStream(connection, Names("default", "default"))
    door = asyncio.create_task(NatsDoor(queue, ingest, max_bytes=lambda: 1000).run())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code.replace("nats://localhost:4222", server.url),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN):
        said, _ = await process.communicate()
    door.cancel()
    await asyncio.gather(door, return_exceptions=True)

    assert said.decode() == printed
    assert [each.id for each in ingest.accepted] == ["8c1f-1"]
