"""FlowTest: given events at times, the mails expected. A file beside manifests; no cluster knows it.

It says what a flow does to people, never how (no steps, no revisions).
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.metadata import Document
from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.text import (
    Duration,
    EmailAddress,
    EventTypeName,
    JsonObject,
    Line,
    Locale,
    Name,
    ObjectName,
    Timestamp,
    Timezone,
    Word,
)


class KnownContact(ApiModel):
    """A contact that is known before the test begins."""

    email: EmailAddress
    """The address."""
    id: Name | None = None
    """The contact's id. Absent: the address is."""
    name: Name | None = None
    """The name to address the contact by."""
    locale: Locale | None = None
    """The preferred language."""
    timezone: Timezone | None = None
    """The IANA time zone."""
    traits: JsonObject = {}
    """What else is known of the contact."""


class GivenEvent(ApiModel):
    """A CloudEvent; what is absent is made up."""

    type: EventTypeName
    """CloudEvents type."""
    id: Name | None = None
    """CloudEvents id. Absent: one of its own."""
    source: Name | None = None
    """CloudEvents source. Absent: /flowtest."""
    subject: Name | None = None
    """CloudEvents subject."""
    data: Any = None
    """The data: any JSON value."""


class Given(ApiModel):
    """An event that arrives."""

    at: Duration
    """When, after the test's start."""
    event: GivenEvent
    """The event."""


class ExpectedMail(ApiModel):
    """What must be true of a mail; what is absent may be anything."""

    template: ObjectName | None = None
    """Name of its EmailTemplate."""
    to: EmailAddress | None = None
    """Its recipient."""
    subject: Line | None = None
    """Its whole subject."""
    contains: Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=50)] = []
    """Texts that stand in its plain text part."""


class Expectation(ApiModel):
    """One thing that happens: a mail or the end of a journey; or that nothing more does."""

    exactly_one: ClassVar[tuple[str, ...]] = ("mail", "exit", "noMore")

    at: Duration | None = None
    """When, after the test's start. Absent: at any time after the expectation before it."""
    mail: ExpectedMail | None = None
    """A mail goes out."""
    exit: Word | None = None
    """A journey ends with this result."""
    no_more: Literal[True] | None = None
    """Nothing else has happened, and nothing will."""


class FlowTestSpec(ApiModel):
    """What is given, and what is expected."""

    flow: ObjectName
    """Name of the EmailFlow under test."""
    contacts: Annotated[list[KnownContact], Field(max_length=100)] = []
    """Contacts that are known beforehand."""
    start: Timestamp | None = None
    """When the test begins. Absent: Monday, 2026-01-05T09:00:00Z."""
    given: Annotated[list[Given], Field(min_length=1, max_length=1000)]
    """Events, in order."""
    expect: Annotated[list[Expectation], Field(min_length=1, max_length=1000)]
    """What happens, in order."""


class FlowTest(Document):
    """FlowTest checks a flow: given events at times, the mails expected."""

    kind: Literal["FlowTest"]
    """FlowTest."""
    spec: FlowTestSpec
    """What is given, and what is expected."""
