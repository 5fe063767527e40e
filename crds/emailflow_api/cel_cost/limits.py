"""How much an evaluation may cost, and whether it is within that (ADR 0023).

One `Limited` serves every evaluation of an expression. It keeps estimates, never a result.
"""

import re
from collections.abc import Mapping
from typing import Any

from emailflow_api.cel_cost.estimate import Cost, Sizes, estimate
from emailflow_api.cel_cost.tree import count_nodes, read_tree
from emailflow_api.errors import InvalidExpression

MAX_TIME = 50_000_000
"""Nanoseconds that one evaluation may take at most, as estimated (ADR 0023)."""
MAX_TIME_PER_INPUT = 100_000_000
"""Nanoseconds that all costly evaluations about one input may take together, as estimated."""
MAX_MEMORY = 16 * 1024 * 1024
"""Bytes that one evaluation may take at most, as estimated."""
MAX_TEXT = 4096
"""Characters that a text may have where text is asked for: an address, a key, a locale, a time zone."""
MAX_VALUE = 16 * 1024
"""Weight (`weigh`) of a JSON value that an expression may give."""
MAX_NODES = 2_000
"""Nodes of the tree with its macros expanded."""
MAX_OPTIONAL_MACROS = 6
"""`optMap` and `optFlatMap` repeat what they are called on: a chain of them doubles with each."""
TYPICAL = Sizes(total=4_096, items=32, text=512)
"""An expression that is too costly for an ordinary event is refused when it is compiled."""
LARGE = Sizes(total=64 * 1024, items=1_000, text=4_096)
"""An expression that is too costly for an event of this size is warned of when it is compiled."""
LARGEST = Sizes(total=4 * 1024 * 1024, items=2 * 1024 * 1024, text=4 * 1024 * 1024)
"""An expression that is within its limits for any event is not estimated again."""
_OPTIONAL_MACRO = re.compile(r"\.\s*opt(?:Flat)?Map\b")
_REMEMBERED_COSTS = 64


def check_text(text: str) -> None:
    """Raise InvalidExpression for a text that would take seconds to compile."""
    if len(_OPTIONAL_MACRO.findall(text)) > MAX_OPTIONAL_MACROS:
        raise InvalidExpression(
            "`optMap` and `optFlatMap` are called too often",
            expected=f"at most {MAX_OPTIONAL_MACROS} of them",
        )


class Limited:
    """The cost of one expression. Raises InvalidExpression when an ordinary event is too much for it."""

    __slots__ = ("_costly", "_costs", "_tree")

    def __init__(self, text: str, serialized: bytes) -> None:
        self._tree = read_tree(serialized)
        self._costs: dict[Sizes, Cost] = {}
        if count_nodes(self._tree) > MAX_NODES:
            raise InvalidExpression("the expression is too large", expected=f"at most {MAX_NODES} nodes")
        if not _affordable(self.cost(TYPICAL)):
            raise InvalidExpression(
                f"`{text}` may take too long, or too much memory, for an event of 4 KiB",
                expected="an expression without loops in loops over texts",
            )
        self._costly = not _affordable(self.cost(LARGEST))

    @property
    def is_costly(self) -> bool:
        """Whether there is data for which it is not evaluated."""
        return self._costly

    def is_affordable(self, sizes: Sizes) -> bool:
        """Whether data of these sizes is evaluated."""
        return not self._costly or _affordable(self.cost(sizes))

    def cost(self, sizes: Sizes) -> Cost:
        """The bound for data of these sizes."""
        cost = self._costs.get(sizes)
        if cost is None:
            if len(self._costs) >= _REMEMBERED_COSTS:
                self._costs.clear()
            cost = self._costs[sizes] = estimate(self._tree, sizes)
        return cost


def _affordable(cost: Cost) -> bool:
    return cost.time <= MAX_TIME and cost.memory <= MAX_MEMORY


def weigh(value: Any) -> Sizes:
    """The weight of a JSON value (4 a part, 1 a character), its longest list or map, its longest text."""
    total, items, text = 0, 0, 0
    waiting = [value]
    while waiting:
        each = waiting.pop()
        total += 4
        if isinstance(each, str):
            total += len(each)
            text = max(text, len(each))
        elif isinstance(each, Mapping):
            items = max(items, len(each))
            waiting.extend(each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            items = max(items, len(each))
            waiting.extend(each)
    return Sizes(total, items, text)


def rounded_up(size: int) -> int:
    """The size with its three highest bits, rounded up."""
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step
