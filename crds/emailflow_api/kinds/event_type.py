"""EventType: the contract of one CloudEvents type. (Knative has a kind of that name in a group of its own.)

Whether data meets the contract is the runtime's to check, whether a change keeps its promise `compile`'s.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.condition import ConditionedStatus
from emailflow_api.kinds.metadata import Column, Definition, Resource, ready_columns
from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.namespaces import Namespaces, selects
from emailflow_api.kinds.rule import Rule
from emailflow_api.kinds.text import Cel, DataPath, EventTypeName, JsonObject, Prose


class ContactMapping(ApiModel):
    """Who an event is about: CEL over `event`, an expression each. What has no value says nothing."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.id) || has(self.email)",
            message="a contact is known by id or email: at least one is needed",
            holds=lambda self: self.id is not None or self.email is not None,
        ),
    )

    id: Cel | None = None
    """CEL: the contact's id in the systems that send events."""
    email: Cel | None = None
    """CEL: the address; it may also come with another event of the same id."""
    name: Cel | None = None
    """CEL: the name to address the contact by."""
    locale: Cel | None = None
    """CEL: the preferred language, such as de or pt-BR."""
    timezone: Cel | None = None
    """CEL: the IANA time zone."""
    traits: Annotated[dict[str, Cel], Field(max_length=50)] = {}
    """Trait -> CEL: what else to remember of the contact."""


class Emitters(Namespaces):
    """Namespaces whose flows may emit a type."""

    rules: ClassVar[tuple[Rule, ...]] = selects("of emitters, ")


class Readers(Namespaces):
    """Namespaces whose flows may read a type."""

    rules: ClassVar[tuple[Rule, ...]] = selects("of readers, ")


class EventTypeSpec(ApiModel):
    """The contract."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.type == oldSelf.type",
            message="type can't be changed; make another EventType",
            holds=None,
            field_path=".type",
        ),
    )

    type: EventTypeName
    """CloudEvents type, exact. Can't be changed: an old EventType would take a newer one's type over."""
    description: Prose | None = None
    """What has happened when such an event is sent."""
    data_schema: Annotated[JsonObject | None, Field(alias="schema")] = None
    """JSON Schema (2020-12) of the event's data. Absent: any data."""
    compatibility: Literal["Backward", "Forward", "Full", "None"] = "Backward"
    """Which changes of the schema are let in: data that was valid stays valid (Backward), data that is valid
    now was valid before (Forward), both (Full), any (None)."""
    emitters: Emitters = Field(default_factory=Emitters)
    """Namespaces whose flows may `emit` such events. Absent: the EventType's own."""
    readers: Readers = Field(default_factory=Readers)
    """Namespaces whose flows may trigger, exit or wait on such events. Absent: the EventType's own. For a
    type that EmailFlow derives, besides the namespace whose flow caused the event."""
    on_invalid: Literal["Reject", "DeadLetter", "Accept"] = "Reject"
    """What happens to an event that breaks the contract: refused, kept as a dead letter, or let in."""
    contact: ContactMapping | None = None
    """Who an event is about. Absent: `data.email`, then a `subject` that is an address."""
    sensitive: Annotated[list[DataPath], Field(max_length=50)] = []
    """Paths such as data.customer.email that consoles and command lines don't show."""


class EventTypeStatus(ConditionedStatus):
    """What the operator last saw."""


class EventType(Resource):
    """EventType is the contract of one CloudEvents type: schema, compatibility, whom an event is about."""

    definition: ClassVar[Definition] = Definition(
        plural="eventtypes",
        short="evt",
        columns=ready_columns(
            Column("Type", ".spec.type"),
            Column("Compatibility", ".spec.compatibility", priority=1),
        ),
    )

    kind: Literal["EventType"]
    """EventType."""
    spec: EventTypeSpec
    """The contract."""
    status: EventTypeStatus | None = None
    """What the operator last saw."""
