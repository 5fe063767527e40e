"""What each function of CEL costs, and how large its result may be, by the bounds of its arguments.

The figures are nanoseconds and bytes, measured on one core and rounded up (ADR 0023). A function that is not
here can't be used in an expression: a test holds the table against the library's own list.
"""

from collections.abc import Callable, Sequence

from emailflow_api.cel_cost.bounds import NOTHING, Amount, Elements, Estimate, Value

SCALAR = Value(Amount(4), Amount(1), Amount(24))
"""A number, a boolean or a timestamp: as text it has at most some 24 characters."""
NODE = 100.0
"""Nanoseconds for a node of the tree."""
ELEMENT = 64.0
"""Bytes for an element of a list or a map."""
COPY = 60.0
"""Nanoseconds to copy an element into another list."""
CHARACTER = 5.0
"""Nanoseconds to change or to count a character."""
_SAME = 100.0
"""Nanoseconds for each byte of the smaller one of two structures that are compared."""
_SEARCH = 0.06
"""Nanoseconds for each pair of characters when one text is looked for in another."""
_STEP = 30.0
"""Nanoseconds for each character and each instruction of a regular expression."""
_INSTRUCTION = 2_000.0
"""Nanoseconds to compile an instruction, which is done at each evaluation."""
_ZONE = 5_000.0
"""Nanoseconds to look a time zone up."""

Rule = Callable[[Elements, Sequence[Value]], Estimate]


def _fixed(time: float = NODE) -> Rule:
    return lambda *_: Estimate(SCALAR, Amount(time))


def _same(elements: Elements, values: Sequence[Value]) -> Estimate:
    return Estimate(SCALAR, elements.smaller(values[0].size, values[1].size) * _SAME)


def _among(elements: Elements, values: Sequence[Value]) -> Estimate:
    wanted, where = values
    compared = elements.smaller(where.size, elements.product(where.items, wanted.size))
    return Estimate(SCALAR, compared * _SAME + where.items * COPY)


def _concatenated(_: Elements, values: Sequence[Value]) -> Estimate:
    one, other = values
    both = Value(one.size + other.size, one.items + other.items, one.text + other.text)
    return Estimate(both, both.items * COPY + both.text * 0.5, both.items * 16 + both.text)


def _counted(_: Elements, values: Sequence[Value]) -> Estimate:
    return Estimate(SCALAR, values[0].text * CHARACTER)


def _searched(elements: Elements, values: Sequence[Value]) -> Estimate:
    text, part = values[0].text, values[1].text
    return Estimate(SCALAR, elements.product(text, part) * _SEARCH + text * CHARACTER)


def _changed(factor: float) -> Rule:
    """A text made of another one, `factor` times as long."""

    def rule(_: Elements, values: Sequence[Value]) -> Estimate:
        text = values[0].text * factor + 24.0
        return Estimate(Value(text, text, text), text * CHARACTER, text)

    return rule


def _replaced(elements: Elements, values: Sequence[Value]) -> Estimate:
    # What is replaced may be empty text, which is found before and behind each character.
    text = values[0].text + elements.product(values[0].text + 1.0, values[2].text)
    searching = elements.product(values[0].text, values[1].text) * _SEARCH
    return Estimate(Value(text, text, text), text * CHARACTER + values[0].text * COPY + searching, text)


def _joined(elements: Elements, values: Sequence[Value]) -> Estimate:
    between = elements.product(values[0].items, values[1].text) if len(values) > 1 else NOTHING
    text = values[0].size + between
    return Estimate(Value(text, text, text), text * CHARACTER + values[0].items * COPY, text)


def _split(_: Elements, values: Sequence[Value]) -> Estimate:
    text = values[0].text
    parts = text + 1.0
    return Estimate(Value(text + parts * ELEMENT, parts, text), parts * (2 * COPY), parts * ELEMENT + text)


def _formatted(_: Elements, values: Sequence[Value]) -> Estimate:
    # A precision has at most three digits, and each clause of the format takes one argument.
    text = values[0].text * 1000.0 + values[1].size * 3.0
    return Estimate(Value(text, text, text), text * CHARACTER + values[1].size * COPY, text)


def _read(_: Elements, values: Sequence[Value]) -> Estimate:
    return Estimate(SCALAR, values[0].text * CHARACTER * 4 + NODE)


def _element(_: Elements, values: Sequence[Value]) -> Estimate:
    return Estimate(values[0], values[-1].text * CHARACTER)


def _itself(_: Elements, values: Sequence[Value]) -> Estimate:
    return Estimate(values[0])


def _either(elements: Elements, values: Sequence[Value]) -> Estimate:
    return Estimate(elements.larger(values[-2], values[-1]))


def _largest(_: Elements, values: Sequence[Value]) -> Estimate:
    return Estimate(SCALAR, values[0].items * 1000.0)


_WITH_ZONE = (
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
)
_CHEAP = (
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "-_",
    "!_",
    "_&&_",
    "_||_",
    "@not_strictly_false",
    "__not_strictly_false__",
    "math.abs",
    "math.bitAnd",
    "math.bitNot",
    "math.bitOr",
    "math.bitShiftLeft",
    "math.bitShiftRight",
    "math.bitXor",
    "math.ceil",
    "math.floor",
    "math.isFinite",
    "math.isInf",
    "math.isNaN",
    "math.round",
    "math.sign",
    "math.sqrt",
    "math.trunc",
    "hasValue",
    "optional.none",
    "type",
)

RULES: dict[str, Rule] = {
    **dict.fromkeys(_CHEAP, _fixed()),
    **dict.fromkeys(_WITH_ZONE, _fixed(_ZONE)),
    **dict.fromkeys(["_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"], _same),
    **dict.fromkeys(["@in", "_in_", "in"], _among),
    **dict.fromkeys(["bool", "bytes", "double", "duration", "int", "timestamp", "uint"], _changed(1)),
    **dict.fromkeys(["contains", "indexOf", "lastIndexOf"], _searched),
    **dict.fromkeys(["startsWith", "endsWith"], _counted),
    **dict.fromkeys(["lowerAscii", "upperAscii", "trim", "reverse", "substring", "charAt"], _changed(1)),
    **dict.fromkeys(["dyn", "optional.of", "optional.ofNonZeroValue", "value"], _itself),
    **dict.fromkeys(["_?_:_", "or", "orValue"], _either),
    **dict.fromkeys(["_[_]", "_[?_]", "_?._"], _element),
    **dict.fromkeys(["math.@max", "math.@min"], _largest),
    "_+_": _concatenated,
    "size": _counted,
    "string": _changed(1),
    "strings.quote": _changed(12),
    "replace": _replaced,
    "join": _joined,
    "split": _split,
    "format": _formatted,
}
"""By the name that the syntax tree has. `matches` is the estimator's: its cost is in the pattern."""


def matching(text: Amount, pattern: str) -> Amount:
    """Nanoseconds to match a text: RE2 may look at each instruction for each character."""
    size = pattern_size(pattern)
    return text * (_STEP * size) + size * _INSTRUCTION + 200_000.0


_CLASS = {"p": 2000.0, "P": 2000.0, "w": 4.0, "W": 8.0, "D": 8.0, "S": 8.0}


def pattern_size(pattern: str) -> float:
    """Instructions of an RE2 program, at most: what a counted repetition repeats is there that many times."""
    open_groups, last, at = [0.0], 0.0, 0
    while at < len(pattern):
        symbol = pattern[at]
        at += 1
        if symbol == "(":
            open_groups.append(0.0)
            continue
        if symbol == "{" and (times := _repeats(pattern[at : pattern.find("}", at)])):
            open_groups[-1] += last * (times - 1.0)
            last, at = last * times, pattern.find("}", at) + 1
            continue
        if symbol == ")" and len(open_groups) > 1:
            last = open_groups.pop() + 1.0
        elif symbol == "[":
            end = _class_ends(pattern, at)
            last, at = 2.0 + 4.0 * (end - at) + 2000.0 * pattern.lower().count("\\p", at, end), end + 1
        elif symbol == "\\" and at < len(pattern):
            last = _CLASS.get(pattern[at], 1.0)
            named = pattern[at] in "pP" and pattern[at + 1 : at + 2] == "{"
            at = max(pattern.find("}", at), at) + 1 if named else at + (2 if pattern[at] in "pP" else 1)
        else:
            last = 8.0 if symbol == "." else 2.0
        open_groups[-1] += last
    insensitive = 2.0 if "(?" in pattern else 1.0
    return max(sum(open_groups) * insensitive, 1.0)


def _repeats(counts: str) -> float:
    """The highest count of `{n}`, `{n,}` or `{n,m}`; 0 for what is no repetition."""
    parts = counts.split(",")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
    return float(max(numbers) + (len(parts) - len(numbers)) or 1) if numbers and len(parts) <= 2 else 0.0


def _class_ends(pattern: str, start: int) -> int:
    at = start + (pattern[start : start + 1] == "^")
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        if pattern.startswith("[:", at):
            at = max(pattern.find(":]", at), at) + 1
        at += 1 + (pattern[at : at + 1] == "\\")
    return min(at, len(pattern))
