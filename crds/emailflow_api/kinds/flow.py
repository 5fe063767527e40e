"""EmailFlow: who gets which mail, and when.

Only what one flow shows by itself is checked here; targets, expressions and references are `compile`'s.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.condition import ConditionedStatus
from emailflow_api.kinds.filter import Filters
from emailflow_api.kinds.metadata import Column, Definition, Resource, ready_columns
from emailflow_api.kinds.model import ApiModel, Status
from emailflow_api.kinds.reference import ObjectReference, RuntimeReference
from emailflow_api.kinds.rule import KeyedBy, unique
from emailflow_api.kinds.start import StartFrom
from emailflow_api.kinds.step import EventTypes, Step
from emailflow_api.kinds.text import Cel, StepName, Word

Count = Annotated[int, Field(ge=0)]
Revision = Annotated[str, Field(max_length=64)]


class Trigger(ApiModel):
    """What lets a contact into the flow."""

    types: EventTypes
    """CloudEvents types, exact: an event of one of them is an entry."""
    filters: Filters = []
    """What else must hold for the event, all of it."""
    key: Cel | None = None
    """CEL: one journey per contact and key, such as a cart. Absent: one per contact."""
    reentry: Literal["Once", "AfterExit", "Restart", "Concurrent"] = "AfterExit"
    """What an entry means for a contact who has been here with the same key: ignored for ever (Once), ignored
    while the journey runs (AfterExit), the journey begins again (Restart), one more journey (Concurrent)."""
    start_from: StartFrom = "New"
    """Where a new flow begins to read events: New, Earliest, or {time: …}. Without effect later on."""


class Exit(ApiModel):
    """What takes a contact out of the flow, whatever step the journey is at."""

    types: EventTypes
    """CloudEvents types, exact."""
    filters: Filters = []
    """What else must hold for the event, all of it; `trigger` is the event that the journey began with."""
    result: Word | None = None
    """The journey's result, one CamelCase word such as Converted. Absent: Exited."""


class EmailFlowSpec(ApiModel):
    """What the flow does."""

    runtime_ref: RuntimeReference | None = None
    """The EmailRuntime that serves the flow. Absent: `default` in the flow's own namespace."""
    suspend: bool = False
    """True holds entries, timers and mails; what is too late when it is released follows maxLateness."""
    deletion_policy: Literal["Drain", "Exit"] = "Drain"
    """What running journeys do when the flow is deleted: finish (Drain) or end at once (Exit)."""
    revision_policy: Literal["Pin", "Migrate", "Drain", "Exit"] = "Pin"
    """What running journeys do when steps or expressions change: finish as they began (Pin), go on in the new
    revision at the step of the same name (Migrate), finish as they began while nobody enters before they have
    (Drain), or end at once (Exit). Not supported yet: all but Pin."""
    migrate: Annotated[dict[str, StepName], Field(max_length=100)] = {}
    """With Migrate, and only then: old step -> new step (or `end`), only for steps that have lost their name.
    Not supported yet."""
    templates: Literal["Current", "Pinned"] = "Current"
    """Which templates running journeys use: as they are now, or as they were at entry. Not supported yet:
    Pinned."""
    policy_ref: ObjectReference | None = None
    """The ContactPolicy, in the runtime's namespace; its `users` must let this one in. Absent: the runtime's
    default; where there is none, mails go out without consent."""
    trigger: Trigger
    """What lets a contact in."""
    exit_on: Annotated[list[Exit], Field(max_length=20)] = []
    """What takes a contact out. A goal is an exit with a result."""
    continue_if: Cel | None = None
    """CEL, bool: checked again before every mail; false ends the journey with the result Discontinued."""
    steps: Annotated[
        list[Step], Field(min_length=1, max_length=100), unique("name", "each step needs a name of its own")
    ]
    """What happens, in order."""


class RevisionCount(Status):
    """How many journeys run in one revision."""

    revision: Revision
    """Hash of the flow's steps and expressions."""
    journeys: Count
    """Journeys that run in it."""


class StepCount(Status):
    """How many journeys are at one step."""

    name: StepName
    """Name of the step."""
    journeys: Count
    """Journeys that are at it."""


class EmailFlowStatus(ConditionedStatus):
    """What the operator and the runtime last saw. Counts are up to 30 s old."""

    revision: Revision | None = None
    """The revision that new journeys get: a hash of steps and expressions."""
    journeys: Count | None = None
    """Journeys that run now, in all revisions."""
    revisions: Annotated[list[RevisionCount], Field(max_length=100), KeyedBy("revision")] = []
    """Journeys by revision; one without journeys is left out."""
    steps: Annotated[list[StepCount], Field(max_length=100), KeyedBy("name")] = []
    """Journeys by step, in the current revision."""
    pending_events: Count | None = None
    """Events that the flow has yet to look at."""
    behind_retention: Count | None = None
    """Events that were purged before the flow had looked at them."""


class EmailFlow(Resource):
    """EmailFlow declares who gets which mail, and when: a trigger, exits and steps."""

    definition: ClassVar[Definition] = Definition(
        plural="emailflows",
        short="ef",
        columns=ready_columns(
            Column("Suspended", ".spec.suspend", type="boolean"),
            Column("Journeys", ".status.journeys", type="integer"),
            Column("Pending", ".status.pendingEvents", type="integer", priority=1),
            Column("Revision", ".status.revision", priority=1),
        ),
    )

    kind: Literal["EmailFlow"]
    """EmailFlow."""
    spec: EmailFlowSpec
    """What the flow does."""
    status: EmailFlowStatus | None = None
    """What the operator and the runtime last saw."""
