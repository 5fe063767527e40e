"""What a YAML scalar means: YAML 1.1 as go-yaml v2 reads it, on which sigs.k8s.io/yaml and `kubectl` stand.

So `no` is false, `014` and `0o14` are twelve, `22:00` and dates are strings. Times are never read as times.
"""

import math
import re
import struct
from typing import Any

TAG_PREFIX = "tag:yaml.org,2002:"
NULL, BOOL, INT, FLOAT, STR, BINARY, TIMESTAMP = (
    TAG_PREFIX + name for name in ("null", "bool", "int", "float", "str", "binary", "timestamp")
)
RESOLVED = frozenset({NULL, BOOL, INT, FLOAT, TIMESTAMP})
"""Explicit tags whose value must be of that type; other tags leave the text as it is."""

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_OCTAL = re.compile(r"([-+]?)0[oO]?([0-7]+)")
_HEXADECIMAL = re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)")
_BINARY = re.compile(r"([-+]?)0[bB]([01]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOTTED = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d)| \d{1,2}:\d{1,2}:\d{1,2}(?:[.,]\d+)?)?"
)

_BEYOND_SINGLE = 2.0**128 - 2.0**103
"""From here on a number rounds to infinity in 32 bits."""


def resolve(text: str) -> Any:
    """The value of a plain scalar: None, bool, int, float or str."""
    if text in _WORDS:
        return _WORDS[text]
    if _DOTTED.fullmatch(text):
        return _finite(float(text), text)
    if text[0] not in "+-0123456789" or is_date(text):
        return text
    plain = text.replace("_", "")
    number = _integer(plain)
    if number is not None:
        return number
    if _FLOAT.fullmatch(plain):
        return _finite(float(plain), text)
    return text


def is_date(text: str) -> bool:
    """Whether this looks like a date or time, which stays a string."""
    return _DATE.fullmatch(text) is not None


def type_of(value: Any) -> str:
    """The tag of a resolved value."""
    for kind, tag in ((bool, BOOL), (int, INT), (float, FLOAT), (str, STR)):
        if isinstance(value, kind):
            return tag
    return NULL


def _integer(plain: str) -> int | None:
    for pattern, base in ((_HEXADECIMAL, 16), (_BINARY, 2), (_OCTAL, 8)):
        if found := pattern.fullmatch(plain):
            return _in_64_bits(found[1], int(found[2], base))
    if _DECIMAL.fullmatch(plain):
        return _in_64_bits(plain[0] if plain[0] in "+-" else "", int(plain.lstrip("+-")))
    return None


def _in_64_bits(sign: str, magnitude: int) -> int | None:
    """An unsigned number may use all 64 bits, one with a sign 63."""
    if sign == "-":
        return -magnitude if magnitude <= 1 << 63 else None
    return magnitude if magnitude < 1 << (63 if sign else 64) else None


def _finite(number: float, text: str) -> float | str:
    return number if math.isfinite(number) else text


def as_json(number: float) -> int | float:
    """A double as Go writes it into JSON: `1e3` is 1000 there, and so a whole number to the API server."""
    return int(number) if number.is_integer() and abs(number) < 1 << 63 else number


def key_of(value: Any) -> str | None:
    """A mapping's key as sigs.k8s.io/yaml makes it a string; None for one that it refuses."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if value < 1 << 63:
            return str(value)
        case float():
            return _shortest(value)
    return None


def _shortest(number: float) -> str:
    """Go's FormatFloat(number, 'g', -1, 32): as few digits as tell a 32-bit float from its neighbours."""
    if not math.isfinite(number) or abs(number) >= _BEYOND_SINGLE:
        return ".nan" if math.isnan(number) else (".inf" if number > 0 else "-.inf")
    single = struct.pack("f", number)
    [number] = struct.unpack("f", single)
    digits = next(d for d in range(9) if struct.pack("f", float(f"{number:.{d}e}")) == single)
    exponent = int(f"{number:.{digits}e}".partition("e")[2])
    if -4 <= exponent < 6:
        return f"{number:.{max(digits - exponent, 0)}f}"
    return f"{number:.{digits}e}"
