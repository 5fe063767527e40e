"""The grammars that attribute values have to follow, as predicates over text.

Each names its source. Nothing here knows attributes or raises.
"""

import re
from functools import lru_cache

# RFC 3986 appendix A. Quantifiers are possessive where they can be, so matching is linear.
_PCT = r"%[0-9A-Fa-f]{2}"
_UNRESERVED_SUB = r"A-Za-z0-9\-._~!$&'()*+,;="
_SEGMENT = rf"(?:[{_UNRESERVED_SUB}:@]|{_PCT})*+"
_SEGMENT_NZ = rf"(?:[{_UNRESERVED_SUB}:@]|{_PCT})++"
_SEGMENT_NZ_NC = rf"(?:[{_UNRESERVED_SUB}@]|{_PCT})++"
_HOST = rf"(?:\[[{_UNRESERVED_SUB}:]++\]|(?:[{_UNRESERVED_SUB}]|{_PCT})*+)"
_AUTHORITY = rf"(?:(?:[{_UNRESERVED_SUB}:]|{_PCT})*@)?{_HOST}(?::[0-9]*+)?"
_PATH_ABEMPTY = rf"(?:/{_SEGMENT})*+"
_ROOTED = rf"//{_AUTHORITY}{_PATH_ABEMPTY}|/(?:{_SEGMENT_NZ}{_PATH_ABEMPTY})?"
_TAIL = rf"(?:\?(?:[{_UNRESERVED_SUB}:@/?]|{_PCT})*+)?(?:#(?:[{_UNRESERVED_SUB}:@/?]|{_PCT})*+)?"
_URI = rf"[A-Za-z][A-Za-z0-9+.\-]*+:(?:{_ROOTED}|{_SEGMENT_NZ}{_PATH_ABEMPTY})?{_TAIL}"
_RELATIVE = rf"(?:{_ROOTED}|{_SEGMENT_NZ_NC}{_PATH_ABEMPTY})?{_TAIL}"

_IS_URI = re.compile(_URI)
_IS_URI_REFERENCE = re.compile(rf"(?:{_URI}|{_RELATIVE})")

# RFC 3339 section 5.6; second 60 is a leap second.
_TIMESTAMP = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]++)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

# RFC 2045 section 5.1, with RFC 9110's optional whitespace around the semicolons.
_WORD = r"[A-Za-z0-9!#$%&'*+\-.^_`|~]++"
_QUOTED_STRING = r'"(?:[^"\\]|\\.)*+"'
_MEDIA_TYPE = re.compile(rf"{_WORD}/{_WORD}(?:[ \t]*+;[ \t]*+{_WORD}=(?:{_WORD}|{_QUOTED_STRING}))*+")
_CHARSET = re.compile(r';[ \t]*charset="?([^";\s]*)', re.IGNORECASE)

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

_JSON_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACES_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def is_uri(text: str) -> bool:
    """An absolute URI (RFC 3986 section 3). A fragment is let pass: the JSON Schema of CloudEvents does."""
    return _IS_URI.fullmatch(text) is not None


@lru_cache(maxsize=256)
def is_uri_reference(text: str) -> bool:
    """A URI-reference (RFC 3986 section 4.1)."""
    return _IS_URI_REFERENCE.fullmatch(text) is not None


def is_timestamp(text: str) -> bool:
    """A date and time of RFC 3339 section 5.6, on a day that the calendar has."""
    if (match := _TIMESTAMP.fullmatch(text)) is None:
        return False
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= _DAYS[month - 1] + leap


@lru_cache(maxsize=256)
def is_media_type(text: str) -> bool:
    """A media type with parameters (RFC 2045 section 5.1)."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def charset(media_type: str) -> str:
    """The `charset` parameter in lower case, or an empty string."""
    match = _CHARSET.search(media_type)
    return match[1].lower() if match else ""


def is_base64(text: str) -> bool:
    """Base64 with its padding and without line breaks (RFC 4648 section 4)."""
    return _BASE64.fullmatch(text) is not None


def json_depth_within(text: bytes, limit: int) -> bool:
    """Whether no array or object is nested deeper than `limit`, also in text that isn't JSON.

    Only brackets are kept and pairs removed, a level at a time: each pass is quick, and there are few.
    """
    if text.count(b"[") + text.count(b"{") <= limit:
        return True
    brackets = _JSON_STRING.sub(b"", text).translate(_BRACES_AS_BRACKETS, _NO_BRACKETS)
    depth = 0
    while b"[]" in brackets:
        if depth == limit:
            return False
        brackets = brackets.replace(b"[]", b"")
        depth += 1
    # What never closes counts as nested too.
    return depth + brackets.count(b"[") <= limit
