"""A contact: what is known of the person that events are about, and how events change it.

Only the shard's `_contacts` reader applies mappings; everybody else reads. Addresses are data here,
never keys.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from emailflow_api.errors import ExpressionFailed, InvalidExpression
from emailflow_api.expressions import Bindings, Expression, Result, Scope, bind, compile_expression
from emailflow_api.plans import ContactMapping
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key, event_hash, normalize_address

REMEMBERED = 32
"""How many applied events a contact remembers."""
LONGEST_TEXT = 1024
"""Characters of an id, a name, a locale, a time zone. A longer one counts as absent."""
LARGEST_TRAITS = 65_536
"""Bytes of a contact's traits together, as they are stored."""
MAILS_COUNTED = 10_000
"""Mails of one contact that count under caps, the newest: no cap allows more."""
DEFAULT_MAPPING = ContactMapping(email="event.data.email")
"""For types without an EventType; `identify` then falls back to a `subject` that is an address."""

_ADDRESS = re.compile(
    r"[^\s\x00-\x20\x7f@<>()\[\],;:\\\"]{1,64}@(?=.{1,253}$)"
    r"[^\s\x00-\x2c\x2f\x3a-\x40\x5b-\x60\x7b-\x7f@.]+(\.[^\s\x00-\x2c\x2f\x3a-\x40\x5b-\x60\x7b-\x7f@.]+)*"
)


def is_address(text: str) -> bool:
    """Whether this can be mailed: RFC 5321 Mailbox with a dot-string local part, RFC 6531 letters allowed."""
    return _ADDRESS.fullmatch(text) is not None


class Contact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One contact, as STATE holds it. `key` is opaque, everything else is what events said."""

    key: str
    id: str = ""
    email: str = ""
    name: str = ""
    locale: str = ""
    timezone: str = ""
    traits: dict[str, Any] = {}
    sequence: int = 0
    """EVENTS sequence of the last event that changed something."""
    applied: tuple[int, ...] = ()
    """Hashes of the last such events: a producer's repeat must not bring old values back."""
    sent: dict[str, int] = {}
    """Mails that count under caps, by id: when they were first attempted. Kept as long as a cap counts."""

    def view(self) -> dict[str, Any]:
        """What expressions and templates see as `contact`."""
        return {
            "id": self.id,
            "email": self.email,
            "name": self.name,
            "locale": self.locale,
            "timezone": self.timezone,
            "traits": self.traits,
            "topics": {},
            "scores": {},
            "history": {},
        }


def contact_weight(contact: Contact) -> int:
    """What a contact weighs as it is stored, in bytes, about."""
    traits = _encoded(contact.traits) if contact.traits else 0
    return 300 + traits + 45 * len(contact.sent) + len(contact.id) + len(contact.email) + len(contact.name)


def _encoded(traits: dict[str, Any]) -> int:
    return len(msgspec.msgpack.encode(traits))


class Identifiers(NamedTuple):
    """Who an event is about: a mapped id, a normalised address, either may be missing."""

    id: str
    email: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that these identifiers would have on their own, the id's first."""
        found = [contact_key("id", self.id)] if self.id else []
        if self.email:
            found.append(contact_key("address", self.email))
        return tuple(found)


def event_view(event: CloudEvent) -> dict[str, Any]:
    """What expressions and templates see as `event` or `trigger`: the attributes, and `data`."""
    return {**event.attributes, "data": event.value}


def kept_event_view(event: CloudEvent) -> dict[str, Any]:
    """The same, of an event that stays in memory."""
    return {**event.attributes, "data": event.kept_value}


class Mapping:
    """A compiled contact mapping."""

    __slots__ = ("_expressions", "_subject", "_traits")

    def __init__(self, mapping: ContactMapping | None) -> None:
        """None is the default mapping. A field with an invalid expression stays unmapped; compile says so."""
        declared = mapping or DEFAULT_MAPPING
        fields = {"id": declared.id, "email": declared.email, "name": declared.name}
        fields.update(locale=declared.locale, timezone=declared.timezone)
        self._expressions = _compiled(fields, Result.STRING)
        self._traits = _compiled(declared.traits, Result.ANY)
        self._subject = mapping is None

    def identify(self, event: CloudEvent) -> Identifiers:
        """Who the event is about. What has no value, or is no address, is empty."""
        bindings = bind(event=event_view(event))
        email = self._text("email", bindings)
        if not email and self._subject and event.subject:
            email = event.subject
        return Identifiers(self._text("id", bindings), normalize_address(email) if is_address(email) else "")

    def _text(self, field: str, bindings: Bindings) -> str:
        found = _value(self._expressions.get(field), bindings)
        return found if isinstance(found, str) and len(found) <= LONGEST_TEXT else ""

    def apply(
        self,
        contact: Contact,
        event: CloudEvent,
        sequence: int,
        refused: Callable[[str], None] = lambda _: None,
    ) -> Contact:
        """The contact after the event: what it says replaces what was known, what it doesn't say stays.

        What a contact has no room for stays as it was, and `refused` is told which field that is, and why.
        """
        repeated = event_hash(event)
        if sequence <= contact.sequence or repeated in contact.applied:
            return contact
        bindings = bind(event=event_view(event))
        changes: dict[str, Any] = {
            "id": self._text("id", bindings),
            "email": self._address(event, bindings),
        }
        changes.update({field: self._text(field, bindings) for field in ("name", "locale", "timezone")})
        changes = {field: value for field, value in changes.items() if value}
        traits = {name: _value(expression, bindings) for name, expression in self._traits.items()}
        known = {name: value for name, value in traits.items() if value is not None}
        if known:
            traits = {**contact.traits, **known}
            if _encoded(traits) <= LARGEST_TRAITS:
                changes["traits"] = traits
            else:
                refused(f"traits: expected at most {LARGEST_TRAITS} bytes of them together")
        changed = replace(contact, **changes)
        if changed == contact:
            return contact
        applied = (*contact.applied, repeated)[-REMEMBERED:]
        return replace(changed, sequence=sequence, applied=applied)

    def _address(self, event: CloudEvent, bindings: Bindings) -> str:
        """The address as the event spells it, since a local part may be case-sensitive to its receiver."""
        spelled = self._text("email", bindings).strip()
        if not spelled and self._subject and event.subject:
            spelled = event.subject.strip()
        return spelled if is_address(spelled) else ""


def _compiled(expressions: dict[str, str], result: Result) -> dict[str, Expression]:
    compiled = {}
    for field, text in expressions.items():
        if text:
            try:
                compiled[field] = compile_expression(text, Scope.MAPPING, result)
            except InvalidExpression:
                continue
    return compiled


def _value(expression: Expression | None, bindings: Bindings) -> Any:
    if expression is None:
        return None
    try:
        return expression.evaluate(bindings)
    except ExpressionFailed:
        return None
