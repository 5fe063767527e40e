"""EmailTemplate: subject and body of a mail, in one or several languages.

Whether the Jinja2 in it is sound is decided by `compile`, whether it renders by the runtime.
"""

from re import fullmatch
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emailflow_api import reserved_headers
from emailflow_api.kinds.condition import ConditionedStatus
from emailflow_api.kinds.metadata import Column, Definition, Resource, ready_columns
from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.reference import ConfigMapKeyReference, ObjectReference
from emailflow_api.kinds.rule import KeyedBy, Rule
from emailflow_api.kinds.send import Mailbox, ReplyTo
from emailflow_api.kinds.text import JsonObject, Line, Locale, Source

BODIES = ("mjml", "html", "markdown", "bodyFrom")


class Tracking(ApiModel):
    """Which reactions are measured."""

    opens: bool | None = None
    """Measure opens by a pixel. Absent: the template leaves it to the policy, a policy says true."""
    clicks: bool | None = None
    """Measure clicks by signed links. Absent: the template leaves it to the policy, a policy says true."""


class BodyFrom(ApiModel):
    """A body kept in a ConfigMap."""

    config_map_key_ref: ConfigMapKeyReference
    """The key of a ConfigMap in the template's namespace."""
    format: Literal["mjml", "html", "markdown"]
    """What the content is; named like the members that hold a body in place."""


class Translation(ApiModel):
    """The template in one more language; what is absent is taken from the template itself."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.mjml), has(self.html), has(self.markdown), has(self.bodyFrom)]"
            ".filter(present, present).size() <= 1",
            message="at most one of mjml, html, markdown and bodyFrom is a body",
            holds=lambda self: (
                sum(b is not None for b in (self.mjml, self.html, self.markdown, self.body_from)) <= 1
            ),
        ),
    )

    locale: Locale
    """Language tag (BCP 47). `de` also serves `de-AT` where there is nothing closer."""
    subject: Line | None = None
    """Subject (Jinja2)."""
    preheader: Line | None = None
    """The line that inboxes show beside the subject (Jinja2)."""
    mjml: Source | None = None
    """Body as MJML (Jinja2)."""
    html: Source | None = None
    """Body as HTML (Jinja2)."""
    markdown: Source | None = None
    """Body as Markdown (Jinja2)."""
    body_from: BodyFrom | None = None
    """Body kept in a ConfigMap."""
    text: Source | None = None
    """The plain text part (Jinja2). Absent: derived from the body."""


HeaderFields = Annotated[
    dict[str, Line],
    Field(max_length=20),
    Rule(
        cel=f"self.all(name, !name.matches('{reserved_headers.pattern()}'))",
        message="a header field is named that EmailFlow sets itself, or that mail systems take orders from",
        holds=lambda headers: not any(map(reserved_headers.is_reserved, headers)),
    ),
    Rule(
        cel="self.all(name, name.matches('^[!-9;-~]{1,76}$'))",
        message="names of header fields are up to 76 printable ASCII characters without colon and space",
        holds=lambda headers: all(fullmatch("[!-9;-~]{1,76}", name) for name in headers),
    ),
]


class EmailTemplateSpec(ApiModel):
    """The mail's content: exactly one body, and what goes with it."""

    exactly_one: ClassVar[tuple[str, ...]] = BODIES

    subject: Annotated[Line, Field(min_length=1)]
    """Subject (Jinja2)."""
    preheader: Line | None = None
    """The line that inboxes show beside the subject (Jinja2)."""
    mjml: Source | None = None
    """Body as MJML (Jinja2)."""
    html: Source | None = None
    """Body as HTML (Jinja2)."""
    markdown: Source | None = None
    """Body as Markdown (Jinja2)."""
    body_from: BodyFrom | None = None
    """Body kept in a ConfigMap."""
    text: Source | None = None
    """The plain text part (Jinja2). Absent: derived from the body."""
    layout_ref: ObjectReference | None = None
    """A template whose body has {% block content %}; in this namespace, else in the runtime's."""
    locales: Annotated[list[Translation], Field(max_length=50), KeyedBy("locale")] = []
    """The template in more languages."""
    from_: Annotated[Mailbox | None, Field(alias="from")] = None
    """The sender. Absent: the provider's."""
    reply_to: ReplyTo = []
    """Where replies go. Absent: to the sender."""
    headers: HeaderFields = {}
    """More header fields, name -> value (Jinja2). Never one that EmailFlow sets, or that mail systems take
    orders from (Resent-*, X-SES-*, X-MC-* and the like)."""
    tracking: Tracking | None = None
    """Which reactions are measured. Absent: the policy says. Not supported yet: without effect."""
    sample: JsonObject | None = None
    """Sample data for previews and for checks: event, trigger, contact, journey."""


class EmailTemplateStatus(ConditionedStatus):
    """What the operator last saw."""


class EmailTemplate(Resource):
    """EmailTemplate holds a mail's subject and body (MJML, HTML or Markdown, with Jinja2) and its locales."""

    definition: ClassVar[Definition] = Definition(
        plural="emailtemplates",
        short="et",
        columns=ready_columns(
            Column("Subject", ".spec.subject"),
            Column("Layout", ".spec.layoutRef.name"),
        ),
    )

    kind: Literal["EmailTemplate"]
    """EmailTemplate."""
    spec: EmailTemplateSpec
    """The mail's content."""
    status: EmailTemplateStatus | None = None
    """What the operator last saw."""
