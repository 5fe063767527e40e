"""Plans: resources made ready to run, with every default filled in and every reference resolved.

The operator (or `emailflow dev`) writes them to the KV bucket PLANS, runtimes read them. A plan is
immutable and named by the hash of its content. It holds references to Secrets, never their values.
Nothing here may depend on how a plan was made or is stored.
"""

import hashlib
from typing import TypeAlias

import msgspec

END = "end"
"""The reserved target that ends a journey; no step may be called so."""


class _Plan(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Base of all plans: frozen, camelCase on the wire, defaults left out so that hashes stay stable."""


class Exact(_Plan, frozen=True, tag="exact"):
    """All attributes equal these strings (CloudEvents Subscriptions 3.2.4.1)."""

    attributes: dict[str, str]


class Prefix(_Plan, frozen=True, tag="prefix"):
    """All attributes start with these strings."""

    attributes: dict[str, str]


class Suffix(_Plan, frozen=True, tag="suffix"):
    """All attributes end with these strings."""

    attributes: dict[str, str]


class AllOf(_Plan, frozen=True, tag="all"):
    """Every nested filter holds."""

    filters: tuple["Filter", ...]


class AnyOf(_Plan, frozen=True, tag="any"):
    """At least one nested filter holds."""

    filters: tuple["Filter", ...]


class Not(_Plan, frozen=True, tag="not"):
    """The nested filter does not hold."""

    filter: "Filter"


class Cel(_Plan, frozen=True, tag="cel"):
    """A CEL expression of type bool holds."""

    expression: str


Filter: TypeAlias = Exact | Prefix | Suffix | AllOf | AnyOf | Not | Cel


class Address(_Plan, frozen=True):
    """A mailbox as it stands in a header: an address and, maybe, a display name."""

    address: str
    name: str = ""


class Attachment(_Plan, frozen=True):
    """A file sent with a mail, from a ConfigMap's key in the flow's namespace."""

    name: str
    config_map: str
    key: str


class Send(_Plan, frozen=True, tag="send"):
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


class Until(_Plan, frozen=True):
    """The next moment at `time` on one of `days` in `timezone`, not before `after` has passed."""

    time: str
    """`HH:MM`."""
    days: tuple[str, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    timezone: str = "contact"
    """An IANA zone, or `contact` for the contact's own (then the runtime's)."""
    after: str = ""
    """ISO 8601, counted from the moment the step is reached."""


class Wait(_Plan, frozen=True, tag="wait"):
    """A pause: exactly one of `duration` (ISO 8601) and `until`."""

    name: str
    next: str
    duration: str = ""
    until: Until | None = None


class Case(_Plan, frozen=True):
    """One way out of a branch: the first case whose CEL `when` is true is taken."""

    when: str
    then: str


class Branch(_Plan, frozen=True, tag="branch"):
    """A decision; `next` is taken when no case holds (the manifest's `otherwise`, or the next step)."""

    name: str
    next: str
    cases: tuple[Case, ...]


class End(_Plan, frozen=True, tag="end"):
    """The end of a journey, with its result."""

    name: str
    result: str = "Completed"


Step: TypeAlias = Send | Wait | Branch | End


class Trigger(_Plan, frozen=True):
    """What lets a contact in: exact CloudEvents types, filters that must all hold, a key (CEL)."""

    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    key: str = ""
    """CEL; one journey per contact and key; empty: one per contact."""


class Exit(_Plan, frozen=True):
    """What takes a contact out, whatever step it is at."""

    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    result: str = "Exited"


class Program(_Plan, frozen=True):
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


class FlowPlan(_Plan, frozen=True):
    """A flow as it stands now: which program new journeys get, and how the flow as a whole behaves."""

    namespace: str
    name: str
    revision: str
    generation: int = 0
    earlier: tuple[str, ...] = ()
    """Revisions that journeys may still be on, the newest first: their exits are still listened to."""
    reentry: str = "AfterExit"
    """Once | AfterExit | Restart | Concurrent."""
    start_from: str = "New"
    """New | Earliest | an RFC 3339 time."""
    suspend: bool = False
    deleted: bool = False
    """The resource is gone: nobody enters any more, running journeys finish."""
    deletion_policy: str = "Drain"
    policy: str = ""
    """Name of a ContactPolicy in the runtime's namespace; empty: none."""

    @property
    def id(self) -> str:
        """`namespace_name`: the flow in subjects and consumer names (both are DNS labels, so unambiguous)."""
        return f"{self.namespace}_{self.name}"


class LocalizedBody(_Plan, frozen=True):
    """A template in one language; empty fields fall back to the template's own."""

    locale: str
    subject: str = ""
    preheader: str = ""
    format: str = ""
    body: str = ""
    text: str = ""


class TemplatePlan(_Plan, frozen=True):
    """A template with its layout resolved: everything that rendering needs, and nothing else."""

    namespace: str
    name: str
    subject: str
    format: str
    """mjml | html | markdown."""
    body: str
    preheader: str = ""
    text: str = ""
    layout_format: str = ""
    layout: str = ""
    """Source of the layout, a body with `{% block content %}`; empty: none."""
    locales: tuple[LocalizedBody, ...] = ()
    sender: Address | None = None
    reply_to: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    track_opens: bool | None = None
    track_clicks: bool | None = None


class SecretKey(_Plan, frozen=True):
    """Where a secret value is: a key of a Secret in the object's own namespace."""

    namespace: str
    name: str
    key: str


class Smtp(_Plan, frozen=True, tag="Smtp"):
    """A submission server or relay."""

    host: str
    port: int = 587
    tls: str = "StartTls"
    """Implicit | StartTls | None."""
    username: str = ""
    password: SecretKey | None = None
    ca: SecretKey | None = None
    hello: str = ""
    """The name in EHLO; empty: the machine's."""


class Catcher(_Plan, frozen=True, tag="Catcher"):
    """The mail catcher of `emailflow dev`: stands in for every provider that isn't told otherwise."""


Transport: TypeAlias = Smtp | Catcher


class Dkim(_Plan, frozen=True):
    """Sign as `domain` with the selector's private key (RFC 6376, RFC 8463)."""

    domain: str
    selector: str
    key: SecretKey


class DomainRate(_Plan, frozen=True):
    """At most this many mails a second to one recipient domain."""

    domain: str
    per_second: float


class Rate(_Plan, frozen=True):
    """What the provider allows; 0 means no limit."""

    per_second: float = 0
    burst: int = 0
    concurrency: int = 16
    per_domain: tuple[DomainRate, ...] = ()


class Retry(_Plan, frozen=True):
    """When a deferred mail is tried again, and when no more (ISO 8601 durations)."""

    max_attempts: int = 8
    backoff: str = "PT30S"
    max_backoff: str = "PT1H"
    give_up_after: str = "P2D"


class ProviderPlan(_Plan, frozen=True):
    """A way out for mails."""

    namespace: str
    name: str
    transport: Transport
    sender: Address | None = None
    dkim: Dkim | None = None
    rate: Rate = Rate()
    retry: Retry = Retry()
    on_unknown: str = ""
    """Hold | Resend | AssumeSent; empty: by what the provider can do."""
    suspend: bool = False


class ContactMapping(_Plan, frozen=True):
    """CEL expressions over `event` that say who an event is about."""

    id: str = ""
    email: str = ""
    name: str = ""
    locale: str = ""
    timezone: str = ""
    traits: dict[str, str] = {}


class EventTypePlan(_Plan, frozen=True):
    """The contract of one CloudEvents type."""

    name: str
    type: str
    schema: str = ""
    """JSON Schema as JSON text; empty: any data."""
    on_invalid: str = "Reject"
    contact: ContactMapping | None = None
    sensitive: tuple[str, ...] = ()


class PolicyPlan(_Plan, frozen=True):
    """What a contact has to have agreed to."""

    name: str
    topic: str
    consent: str = "OptOut"
    transactional: bool = False
    provider: str = ""


class RuntimePlan(_Plan, frozen=True):
    """The data plane's own settings, defaults filled in."""

    namespace: str
    name: str
    shards: int = 1
    public_url: str = ""
    keys: SecretKey | None = None
    default_provider: str = ""
    default_policy: str = ""
    default_locale: str = "en"
    default_timezone: str = "UTC"
    retention_events: str = "P30D"
    retention_dedupe: str = "P30D"
    retention_dead_letters: str = "P30D"
    max_body_bytes: int = 1_048_576
    unknown_types: str = "Allow"
    suspend: bool = False

    @property
    def id(self) -> str:
        """`namespace_name`: the prefix of its stream and bucket names."""
        return f"{self.namespace}_{self.name}"


class Plans(msgspec.Struct, rename="camel"):
    """What one runtime serves: flows and templates by `namespace/name`, programs by revision, others by
    name, event types by CloudEvents type."""

    runtime: RuntimePlan
    flows: dict[str, FlowPlan] = {}
    programs: dict[str, Program] = {}
    templates: dict[str, TemplatePlan] = {}
    providers: dict[str, ProviderPlan] = {}
    policies: dict[str, PolicyPlan] = {}
    event_types: dict[str, EventTypePlan] = {}


_encoder = msgspec.json.Encoder(order="deterministic")


def encode(plan: msgspec.Struct) -> bytes:
    """The plan as canonical JSON: equal plans give equal bytes."""
    return _encoder.encode(plan)


def content_hash(plan: msgspec.Struct) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the canonical JSON: a plan's name in PLANS."""
    return hashlib.sha256(encode(plan)).hexdigest()[:16]
