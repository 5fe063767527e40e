"""Programs: what flows do, step by step. A program's hash is the revision of its flow.

Nothing here may depend on anything but the flow itself: whatever it said would change the revision.
"""

from typing import TypeAlias

from emailflow_api.plans.base import Address, Plan

END = "end"
"""The reserved target that ends a journey; no step may be called so."""


class Exact(Plan, frozen=True, tag="exact"):
    """All attributes equal these strings (CloudEvents Subscriptions 3.2.4.1)."""

    attributes: dict[str, str]


class Prefix(Plan, frozen=True, tag="prefix"):
    """All attributes start with these strings."""

    attributes: dict[str, str]


class Suffix(Plan, frozen=True, tag="suffix"):
    """All attributes end with these strings."""

    attributes: dict[str, str]


class AllOf(Plan, frozen=True, tag="all"):
    """Every nested filter holds."""

    filters: tuple["Filter", ...]


class AnyOf(Plan, frozen=True, tag="any"):
    """At least one nested filter holds."""

    filters: tuple["Filter", ...]


class Not(Plan, frozen=True, tag="not"):
    """The nested filter does not hold."""

    filter: "Filter"


class Cel(Plan, frozen=True, tag="cel"):
    """A CEL expression of type bool holds."""

    expression: str


Filter: TypeAlias = Exact | Prefix | Suffix | AllOf | AnyOf | Not | Cel


class Attachment(Plan, frozen=True):
    """A file sent with a mail, from a ConfigMap's key in the flow's namespace."""

    name: str
    config_map: str
    key: str


class Send(Plan, frozen=True, tag="send"):
    """One mail. `next` is where the journey goes once the mail is settled (sent, skipped or failed)."""

    name: str
    next: str
    template: str
    """`namespace/name` of the EmailTemplate."""
    provider: str = ""
    """Name of an EmailProvider in the runtime's namespace; empty: the policy's, then the runtime's."""
    to: str = ""
    """CEL; empty: the contact."""
    sender: Address | None = None
    reply_to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    locale: str = ""
    """CEL; empty: the contact's, then the runtime's."""
    skip_if: str = ""
    max_lateness: str = ""
    attachments: tuple[Attachment, ...] = ()


class Until(Plan, frozen=True):
    """The next moment at `time` on one of `days` in `timezone`, not before `after` has passed."""

    time: str
    """`HH:MM`."""
    days: tuple[str, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    timezone: str = "contact"
    """An IANA zone, or `contact` for the contact's own (then the runtime's)."""
    after: str = ""
    """ISO 8601, counted from the moment the step is reached."""


class Wait(Plan, frozen=True, tag="wait"):
    """A pause: exactly one of `duration` (ISO 8601) and `until`."""

    name: str
    next: str
    duration: str = ""
    until: Until | None = None


class Case(Plan, frozen=True):
    """One way out of a branch: the first case whose CEL `when` is true is taken."""

    when: str
    then: str


class Branch(Plan, frozen=True, tag="branch"):
    """A decision; `next` is taken when no case holds (the manifest's `otherwise`, or the next step)."""

    name: str
    next: str
    cases: tuple[Case, ...]


class End(Plan, frozen=True, tag="end"):
    """The end of a journey, with its result."""

    name: str
    result: str = "Completed"


Step: TypeAlias = Send | Wait | Branch | End


class Trigger(Plan, frozen=True):
    """What lets a contact in: exact CloudEvents types, filters that must all hold, a key (CEL)."""

    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    key: str = ""
    """CEL; one journey per contact and key; empty: one per contact."""


class Exit(Plan, frozen=True):
    """What takes a contact out, whatever step it is at."""

    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    result: str = "Exited"


class Program(Plan, frozen=True):
    """What a flow does: its steps and expressions. Its hash is the flow's revision (DESIGN section 3)."""

    trigger: Trigger
    steps: tuple[Step, ...]
    exits: tuple[Exit, ...] = ()
    continue_if: str = ""

    def step(self, name: str) -> Step | None:
        """The step of that name, or None (also for `end`)."""
        return next((step for step in self.steps if step.name == name), None)

    def types(self) -> frozenset[str]:
        """Every CloudEvents type that this program reacts to."""
        return frozenset(self.trigger.types).union(*(e.types for e in self.exits))
