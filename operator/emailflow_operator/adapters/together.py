"""Several calls under way at once, not too many, and one plain error in the end, not a group."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")


async def together(do: Callable[[_T], Awaitable[None]], items: Iterable[_T], *, limit: int) -> None:
    """Await `do` for each item, `limit` at once; all are tried, and the first error is raised."""
    slots = asyncio.Semaphore(limit)

    async def one(item: _T) -> None:
        async with slots:
            await do(item)

    results = await asyncio.gather(*(one(each) for each in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
