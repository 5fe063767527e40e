"""Asking STATE for many things so that no answer is more than memory is meant to hold.

Who asks for a portion is done with it before the next one is read. It knows nothing of what is asked for.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from emailflow_runtime.app.stores import TooMuch

Key = TypeVar("Key")
Found = TypeVar("Found")


async def portions(
    ask: Callable[[Sequence[Key]], Awaitable[dict[Key, Found]]], keys: Iterable[Key]
) -> AsyncIterator[tuple[Sequence[Key], dict[Key, Found]]]:
    """Answers about these keys, in their order: which keys one is about, and what was found of them. What is
    too much together is asked for by halves."""
    waiting: list[Sequence[Key]] = [list(keys)]
    while waiting:
        some = waiting.pop()
        try:
            found = await ask(some)
        except TooMuch:
            if len(some) == 1:
                raise
            middle = len(some) // 2
            waiting += [some[middle:], some[:middle]]
            continue
        yield some, found
