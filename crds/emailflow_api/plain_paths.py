"""Expressions that are a path or compare one with a literal: `event.data.email`, `event.data.total > 0`.

Most mappings and filters are nothing else, and CEL, which has to convert all values first, takes ten times as
long. Only what Python does exactly as CEL does is done here; the rest is left to CEL.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_PLAIN = re.compile(
    r"([a-z]+(?:\.[A-Za-z_][A-Za-z0-9_]*)+)"
    r"""(?: *(==|!=|<=|>=|<|>) *(?:(-?[0-9]{1,15})|"([^"\\\n]*)"|'([^'\\\n]*)'))?"""
)
"""Numbers have no more digits than doubles hold, texts no escapes."""
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class _Comparison(NamedTuple):
    """What a path's value is compared with; `kinds` are the types that compare with it as in CEL."""

    compare: Callable[[Any, Any], bool]
    literal: int | str
    kinds: tuple[type, ...]


class PlainPath:
    """A path, alone (`comparison` is None) or compared with a whole number or a text."""

    __slots__ = ("_names", "_variable", "comparison")

    def __init__(self, path: str, comparison: _Comparison | None) -> None:
        self._variable, *self._names = path.split(".")
        self.comparison = comparison

    @classmethod
    def read(cls, text: str) -> "PlainPath | None":
        """None for any other expression."""
        plain = _PLAIN.fullmatch(text)
        if plain is None:
            return None
        path, sign, number, *texts = plain.groups()
        if sign is None:
            return cls(path, None)
        if number is not None:
            return cls(path, _Comparison(_OPERATORS[sign], int(number), (int, float)))
        literal = next(each for each in texts if each is not None)
        return cls(path, _Comparison(_OPERATORS[sign], literal, (str,)))

    def value(self, values: Mapping[str, Any]) -> str | bool | None:
        """The text that it leads to, or whether the comparison holds; None when only CEL can tell.

        Raises KeyError with the name of a field that a map does not have, as for what events may leave out.
        """
        found: Any = values.get(self._variable)
        for name in self._names:
            if type(found) is not dict:
                return None
            found = found[name]
        if self.comparison is None:
            return found if type(found) is str else None
        compare, literal, kinds = self.comparison
        return compare(found, literal) if type(found) in kinds else None
