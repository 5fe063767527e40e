"""Answers of pure functions by the hash of what they were asked, within a bound in bytes.

For work that costs far more than a hash, on texts that come again at every change of something else.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """The answers that were used last; a text itself is not kept."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes of all answers together."""
        self._limit = limit
        self._used = 0
        self._known: OrderedDict[bytes, tuple[_T, int]] = OrderedDict()

    def get(self, text: str, make: Callable[[str], _T], size: Callable[[_T], int]) -> _T:
        """What `make` gives for the text; `size` is its bytes. Raises what `make` raises."""
        key = sha256(text.encode("utf-8", "surrogatepass")).digest()
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known[0]
        made = make(text)
        self._known[key] = made, size(made)
        self._used += size(made)
        while self._used > self._limit:
            self._used -= self._known.popitem(last=False)[1][1]
        return made
