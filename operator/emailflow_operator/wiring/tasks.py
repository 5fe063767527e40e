"""What the process does at once, and what the end of one part means for the others."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_first(*wanted: Coroutine[Any, Any, Any]) -> None:
    """Return when the first has ended, the others cancelled; raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in wanted]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
