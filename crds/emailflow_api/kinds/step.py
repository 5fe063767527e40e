"""The steps of a flow: a flat list, since a structural schema can't recurse and since names are what a
live change is mapped by. Whether a target exists is decided by `compile`.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from emailflow_api.kinds.filter import Filters
from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.rule import Rule, unique
from emailflow_api.kinds.send import Send
from emailflow_api.kinds.text import Cel, Duration, EventTypeName, StepName, TimeOfDay, Timezone, Word

Weekday: TypeAlias = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
EVERY_DAY: tuple[Weekday, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Weekdays = Annotated[list[Weekday], Field(min_length=1, max_length=7)]
EventTypes = Annotated[list[EventTypeName], Field(min_length=1, max_length=20)]
Traits = Annotated[dict[str, Cel], Field(min_length=1, max_length=50)]

OWN_TYPES = "dev.emailflow."
"""How the types of the events begin that EmailFlow itself derives."""


class Until(ApiModel):
    """A moment: the next `time` on one of `days`, once `after` has passed."""

    time: TimeOfDay
    """Time of day, "HH:MM"; one that the clocks skip is the moment after the gap."""
    days: Weekdays = list(EVERY_DAY)
    """Days of the week. Absent: every day."""
    timezone: Timezone = "contact"
    """IANA time zone, or `contact`: the contact's own, then the runtime's default."""
    after: Duration | None = None
    """At least this long after the step was reached. Absent: no earliest moment."""


class Wait(ApiModel):
    """A pause: exactly one of its members."""

    exactly_one: ClassVar[tuple[str, ...]] = ("for", "until")

    for_: Annotated[Duration | None, Field(alias="for")] = None
    """How long."""
    until: Until | None = None
    """Until which moment."""


class Awaited(ApiModel):
    """One thing to wait for: an event (`types`) or a state of the contact (`condition`)."""

    exactly_one: ClassVar[tuple[str, ...]] = ("types", "condition")
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.types) || !(has(self.filters) || has(self.scope))",
            message="filters and scope say which events count: they need types",
            holds=lambda self: self.types is not None or not {"filters", "scope"} & self.model_fields_set,
        ),
    )

    types: EventTypes | None = None
    """CloudEvents types, exact: an event of one of them is awaited."""
    filters: Filters = []
    """What else must hold for the event, all of it."""
    scope: Literal["Journey", "Contact"] | None = None
    """Whose mails' events count: the journey's own, or all of the contact's. Absent: Journey."""
    condition: Cel | None = None
    """CEL, bool: met as soon as it is true, also when it was so before."""
    then: StepName | None = None
    """Where to go on. Absent: the step's `next`."""


class WaitFor(ApiModel):
    """A wait for the first of several things, or for the time-out."""

    any_of: Annotated[list[Awaited], Field(alias="any", min_length=1, max_length=10)]
    """What is awaited; the first one met decides, in case of a tie the first in the list."""
    timeout: Duration | None = None
    """How long at most. Absent: for ever."""
    on_timeout: StepName | None = None
    """Where to go on after the time-out. Absent: the step's `next`."""


class Case(ApiModel):
    """One way out of a branch."""

    when: Cel
    """CEL, bool: the first case in the list for which this is true is taken."""
    then: StepName
    """Where to go on."""


class Branch(ApiModel):
    """A decision by what is known of the contact and the events."""

    cases: Annotated[list[Case], Field(min_length=1, max_length=20)]
    """The ways out, in order."""
    otherwise: StepName | None = None
    """Where to go on when no case holds. Absent: the step's `next`."""


class Variant(ApiModel):
    """One share of a split."""

    name: StepName
    """Name of the variant; what sticks to the contact and stands in reports."""
    weight: Annotated[int, Field(ge=0, le=10_000)]
    """Its share, relative to the sum of all weights."""
    then: StepName
    """Where to go on."""
    holdout: bool | None = None
    """True: the comparison group that gets no mail. Absent: false."""


class Split(ApiModel):
    """A random but sticky division of contacts, by a stable hash of contact, flow and step."""

    variants: Annotated[
        list[Variant],
        Field(min_length=2, max_length=10),
        unique("name", "each variant needs a name of its own"),
        Rule(
            cel="self.exists(v, v.weight > 0)",
            message="at least one variant needs a weight above 0",
            holds=lambda variants: any(variant.weight > 0 for variant in variants),
        ),
    ]
    """The shares."""


class SetTraits(ApiModel):
    """A change of what is known of the contact."""

    traits: Traits
    """Trait -> CEL: its new value; all are computed before any is set."""


class Emit(ApiModel):
    """A CloudEvent of one's own, about the contact."""

    type: Annotated[
        EventTypeName,
        Rule(
            cel=f"!self.startsWith('{OWN_TYPES}')",
            message=f"types that begin with {OWN_TYPES} are EmailFlow's own",
            holds=lambda name: not name.startswith(OWN_TYPES),
        ),
    ]
    """CloudEvents type."""
    data: Cel | None = None
    """CEL: the data. Absent: none."""


class End(ApiModel):
    """The end of the journey."""

    result: Word | None = None
    """Its result, one CamelCase word. Absent: Completed."""


class Step(ApiModel):
    """A named step: exactly one action. It runs on to the next step unless it names a target."""

    exactly_one: ClassVar[tuple[str, ...]] = (
        "send",
        "wait",
        "waitFor",
        "branch",
        "split",
        "set",
        "emit",
        "end",
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.next) || !(has(self.end) || has(self.split))",
            message="end goes nowhere and a split names its targets: neither has a next",
            holds=lambda self: self.next is None or (self.end is None and self.split is None),
        ),
        Rule(
            cel="!has(self.next) || !has(self.branch) || !has(self.branch.otherwise)",
            message="a branch says where to go on in otherwise or in next, not in both",
            holds=lambda self: self.next is None or self.branch is None or self.branch.otherwise is None,
        ),
    )

    name: Annotated[
        StepName,
        Rule(
            cel="self != 'end'",
            message="`end` is the target that ends a journey; a step needs another name",
            holds=lambda name: name != "end",
        ),
    ]
    """Name, unique in the flow. It is what targets and live changes refer to."""
    next: StepName | None = None
    """The step to go on with, or `end`. Absent: the one that follows in the list; after the last, `end`."""
    send: Send | None = None
    """Send one mail."""
    wait: Wait | None = None
    """Wait for a time."""
    wait_for: WaitFor | None = None
    """Wait for events or a state of the contact. Not supported yet."""
    branch: Branch | None = None
    """Go different ways by conditions."""
    split: Split | None = None
    """Go different ways by chance. Not supported yet."""
    set: SetTraits | None = None
    """Change the contact's traits. Not supported yet."""
    emit: Emit | None = None
    """Emit an event. Not supported yet."""
    end: End | None = None
    """End the journey."""
