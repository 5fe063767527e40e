"""ContactPolicy: what a contact must have agreed to, how often and when mails may come.

A policy says nothing about content. It holds for all flows of a runtime that refer to it.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.condition import ConditionedStatus
from emailflow_api.kinds.metadata import Column, Definition, Resource, ready_columns
from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.namespaces import Namespaces
from emailflow_api.kinds.reference import ObjectReference
from emailflow_api.kinds.rule import KeyedBy, Rule
from emailflow_api.kinds.step import EVERY_DAY, Weekdays
from emailflow_api.kinds.template import Tracking
from emailflow_api.kinds.text import Duration, Locale, Name, TimeOfDay, Timezone, Topic


class Title(ApiModel):
    """The topic's name for people, in one language."""

    locale: Locale
    """Language tag (BCP 47)."""
    text: Name
    """What preference pages call the topic."""


def _counts_whole_days(cap: Any) -> bool:
    return cap.counting != "CalendarDay" or (cap.per.endswith("D") and "T" not in cap.per)


class Cap(ApiModel):
    """At most `max` mails in `per`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.counting) || self.counting != 'CalendarDay' || self.per.matches('^P[0-9]+D$')",
            message="counting CalendarDay needs whole days, such as P1D",
            holds=_counts_whole_days,
            field_path=".per",
        ),
    )

    max: Annotated[int, Field(ge=1, le=10_000)]
    """Number of mails."""
    per: Duration
    """Length of the period."""
    counting: Literal["Rolling", "CalendarDay"] | None = None
    """The last `per` until now (Rolling), or days in the contact's zone (CalendarDay). Absent: Rolling."""


class QuietHours(ApiModel):
    """A time of day without mails; `to` before `from` is the next morning."""

    from_: Annotated[TimeOfDay, Field(alias="from")]
    """Beginning, "HH:MM"."""
    to: TimeOfDay
    """End, "HH:MM"."""
    days: Weekdays = list(EVERY_DAY)
    """Days on which quiet hours begin. Absent: every day."""
    timezone: Timezone = "contact"
    """IANA time zone, or `contact`: the contact's own."""
    fallback_timezone: Timezone | None = None
    """The zone of contacts whose own is not known. Absent: the runtime's default."""
    action: Literal["Defer", "Skip"] = "Defer"
    """Send at the end of quiet hours (Defer), or not at all (Skip)."""


class Complaints(ApiModel):
    """Shares of delivered mails that were reported as spam, and what follows."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.warn) || !has(self.pause) || self.warn <= self.pause",
            message="warn must not lie above pause",
            holds=lambda self: self.warn is None or self.pause is None or self.warn <= self.pause,
        ),
    )

    warn: Annotated[float, Field(ge=0, le=1)] | None = None
    """From this share on, the policy warns. Absent: never."""
    pause: Annotated[float, Field(ge=0, le=1)] | None = None
    """From this share on, mails under this policy are held. Absent: never."""
    over: Duration = "P1D"
    """The period that the share is counted over."""


class ContactPolicySpec(ApiModel):
    """What mails under this policy must keep to."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.transactional || !(has(self.caps) || has(self.quietHours)"
            " || (has(self.consent) && self.consent != 'None'))",
            message="a transactional policy has no caps, no quietHours, and consent None",
            holds=lambda self: (
                not self.transactional
                or not ({"caps", "quiet_hours"} & self.model_fields_set or self.consent not in {None, "None"})
            ),
        ),
    )

    topic: Topic
    """The purpose that consent is asked for and kept by."""
    title: Annotated[list[Title], Field(max_length=50), KeyedBy("locale")] = []
    """The topic's name for people. Absent: the topic itself. Not supported yet: without effect."""
    consent: Literal["None", "OptOut", "OptIn", "DoubleOptIn"] | None = None
    """What must be there before a mail: nothing (None), no objection (OptOut), agreement (OptIn), agreement
    confirmed by mail (DoubleOptIn). Absent: OptOut, or None when transactional. Not supported yet: asking
    for confirmation, so that DoubleOptIn counts like OptIn."""
    transactional: bool = False
    """True: mails that people need, such as receipts: no caps, no quiet hours, no tracking, no consent."""
    caps: Annotated[list[Cap], Field(max_length=10)] = []
    """How many mails a contact gets at most; all caps hold."""
    on_capped: Literal["Skip", "Defer"] = "Skip"
    """What happens to a mail above a cap: dropped (Skip), or sent when there is room (Defer)."""
    quiet_hours: QuietHours | None = None
    """When no mails go out. Absent: they go at any time."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """Who gets the last place under a cap: the higher one. Not supported yet: without effect."""
    tracking: Tracking | None = None
    """Which reactions are measured, where the template doesn't say. Not supported yet: without effect."""
    complaints: Complaints | None = None
    """When reports of spam warn or stop. Absent: they do neither. Not supported yet: without effect."""
    users: Namespaces = Field(default_factory=Namespaces)
    """Namespaces whose flows may use the policy, also as the runtime's default. Absent: the policy's own."""
    other_recipients: bool = False
    """Whether `to`, `cc` and `bcc` of mails under this policy may be anybody but the contact."""
    provider_ref: ObjectReference | None = None
    """The EmailProvider for flows under this policy. Absent: the runtime's default."""


class ContactPolicyStatus(ConditionedStatus):
    """What the operator last saw."""


class ContactPolicy(Resource):
    """ContactPolicy declares consent, frequency caps, quiet hours and priority."""

    definition: ClassVar[Definition] = Definition(
        plural="contactpolicies",
        short="cp",
        columns=ready_columns(
            Column("Topic", ".spec.topic"),
            Column("Consent", ".spec.consent"),
            Column("Transactional", ".spec.transactional", type="boolean", priority=1),
        ),
    )

    kind: Literal["ContactPolicy"]
    """ContactPolicy."""
    spec: ContactPolicySpec
    """What mails under this policy must keep to."""
    status: ContactPolicyStatus | None = None
    """What the operator last saw."""
