"""The kinds of text that manifests hold: each bounded, each with its pattern and words for it.

Patterns use only what RE2 (API server), Rust (pydantic), Python and ECMAScript (editors) read alike: no
look-around, no `\\d`. Whether a CEL expression compiles is decided in `expressions`, not here.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

EXPECTED: dict[str, str] = {}
"""Pattern -> what it means in words, for messages."""


def _pattern(pattern: str, words: str) -> str:
    EXPECTED[pattern] = words
    return pattern


_TIME = "T([0-9]{1,6}H([0-9]{1,6}M)?([0-9]{1,6}S)?|[0-9]{1,6}M([0-9]{1,6}S)?|[0-9]{1,6}S)"
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

DURATION = _pattern(
    f"^P([0-9]{{1,4}}W|[0-9]{{1,5}}D({_TIME})?|{_TIME})$", "an ISO 8601 duration such as PT1H or P1D"
)
TIME_OF_DAY = _pattern("^([01][0-9]|2[0-3]):[0-5][0-9]$", 'a time of day in quotes, such as "09:30"')
TIMEZONE = _pattern("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", "an IANA time zone such as Europe/Berlin")
OBJECT_NAME = _pattern(f"^{_LABEL}$", "the name of an object: a-z, 0-9 and '-', at most 63")
SUBDOMAIN = _pattern(f"^{_LABEL}(\\.{_LABEL})*$", "the name of a Secret or ConfigMap")
KEY = _pattern("^[-._a-zA-Z0-9]+$", "a key of a Secret or ConfigMap")
STEP_NAME = _pattern(
    "^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$", "a step's name: letters, digits, '-' and '_'"
)
WORD = _pattern("^[A-Z][A-Za-z0-9]*$", "one CamelCase word such as Converted")
TOPIC = _pattern("^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$", "a topic: a-z, 0-9, '-' and '_'")
ADDRESS = _pattern("^[^@ \\t\\r\\n<>]+@[^@ \\t\\r\\n<>]+$", "an address such as ana@example.com")
ONE_LINE = _pattern("^[^\\r\\n\\x00]*$", "one line of text")
DOMAIN = _pattern(
    "^([a-z0-9_]([-a-z0-9_]*[a-z0-9])?\\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a domain in lower case"
)
HTTP_URL = _pattern("^https?://[^ \\t\\r\\n]+$", "an http or https URL")
NATS_URLS = _pattern("^(nats|tls|ws|wss)://[^ \\t\\r\\n]+$", "NATS URLs such as nats://nats:4222")
LOCALE = _pattern("^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$", "a language tag such as de or pt-BR")
DATA_PATH = _pattern(
    "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$", "a path such as data.customer.email"
)
QUANTITY = _pattern(
    "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$", "a quantity such as 500m or 256Mi"
)
TIMESTAMP = _pattern(
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$",
    "an RFC 3339 time such as 2026-03-07T20:00:00Z",
)


def _shaped(pattern: str, max_length: int, min_length: int | None = None, **more: str) -> Any:
    """A bounded text of that pattern; `x-expected` carries its words into descriptions."""
    extra: dict[str, Any] = {"x-expected": EXPECTED[pattern], **more}
    return Field(min_length=min_length, max_length=max_length, pattern=pattern, json_schema_extra=extra)


def _is_a_date(value: str) -> str:
    datetime.fromisoformat(value)
    return value


Duration = Annotated[str, _shaped(DURATION, 32)]
TimeOfDay = Annotated[str, _shaped(TIME_OF_DAY, 5)]
Timezone = Annotated[str, _shaped(TIMEZONE, 64)]
Timestamp = Annotated[
    str,
    _shaped(TIMESTAMP, 35, format="date-time"),
    AfterValidator(_is_a_date),
]
ObjectName = Annotated[str, _shaped(OBJECT_NAME, 63)]
SubdomainName = Annotated[str, _shaped(SUBDOMAIN, 253)]
"""The name of a Secret or ConfigMap, which may have dots."""
Key = Annotated[str, _shaped(KEY, 253)]
StepName = Annotated[str, _shaped(STEP_NAME, 63)]
Word = Annotated[str, _shaped(WORD, 63)]
Topic = Annotated[str, _shaped(TOPIC, 63)]
EmailAddress = Annotated[str, _shaped(ADDRESS, 254)]
Line = Annotated[str, _shaped(ONE_LINE, 998)]
"""One line, no longer than RFC 5322 2.1.1 lets a line be."""
Name = Annotated[str, _shaped(ONE_LINE, 255, 1)]
Prose = Annotated[str, Field(max_length=4096)]
Source = Annotated[str, Field(min_length=1, max_length=262_144)]
"""A template's body; several must fit into one object of etcd's 1.5 MiB."""
Cel = Annotated[str, Field(min_length=1, max_length=2048)]
EventTypeName = Annotated[str, Field(min_length=1, max_length=255)]
Domain = Annotated[str, _shaped(DOMAIN, 253)]
HttpUrl = Annotated[str, _shaped(HTTP_URL, 2048)]
NatsUrls = Annotated[str, _shaped(NATS_URLS, 2048)]
Locale = Annotated[str, _shaped(LOCALE, 35)]
DataPath = Annotated[str, _shaped(DATA_PATH, 255)]
Quantity = Annotated[str, _shaped(QUANTITY, 32)]
JsonObject = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
]
"""Any JSON object, kept as it is."""
