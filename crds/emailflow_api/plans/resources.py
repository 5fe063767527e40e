"""Plans of single resources: flows, templates, providers, policies, contracts, and the runtime itself."""

from typing import TypeAlias

from emailflow_api.plans.base import Address, Plan


class FlowPlan(Plan, frozen=True):
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
    absent_since: int = 0
    """When it was found to be gone, by the store's clock (nanoseconds since 1970 UTC)."""
    leave: bool = False
    """It is gone, and whoever is still in it leaves now."""
    deletion_policy: str = "Drain"
    policy: str = ""
    """Name of a ContactPolicy in the runtime's namespace; empty: none."""

    @property
    def id(self) -> str:
        """`namespace_name`: the flow in subjects and consumer names (both are DNS labels, so unambiguous)."""
        return f"{self.namespace}_{self.name}"


class LocalizedBody(Plan, frozen=True):
    """A template in one language; empty fields fall back to the template's own."""

    locale: str
    subject: str = ""
    preheader: str = ""
    format: str = ""
    body: str = ""
    text: str = ""


class TemplatePlan(Plan, frozen=True):
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


class SecretKey(Plan, frozen=True):
    """Where a secret value is: a key of a Secret in the object's own namespace."""

    namespace: str
    name: str
    key: str


class Smtp(Plan, frozen=True, tag="Smtp"):
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


class Catcher(Plan, frozen=True, tag="Catcher"):
    """The mail catcher of `emailflow dev`: stands in for every provider that isn't told otherwise."""


Transport: TypeAlias = Smtp | Catcher


class Dkim(Plan, frozen=True):
    """Sign as `domain` with the selector's private key (RFC 6376, RFC 8463)."""

    domain: str
    selector: str
    key: SecretKey


class DomainRate(Plan, frozen=True):
    """At most this many mails a second to one recipient domain."""

    domain: str
    per_second: float


class Rate(Plan, frozen=True):
    """What the provider allows; 0 means no limit."""

    per_second: float = 0
    burst: int = 0
    concurrency: int = 16
    per_domain: tuple[DomainRate, ...] = ()


class Retry(Plan, frozen=True):
    """When a deferred mail is tried again, and when no more (ISO 8601 durations)."""

    max_attempts: int = 8
    backoff: str = "PT30S"
    max_backoff: str = "PT1H"
    give_up_after: str = "P2D"


class Senders(Plan, frozen=True):
    """Whom flows and templates may say that mails are from: domains (`*`: any) and single addresses."""

    domains: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class ProviderPlan(Plan, frozen=True):
    """A way out for mails."""

    namespace: str
    name: str
    transport: Transport
    sender: Address | None = None
    senders: Senders = Senders()
    """Besides `sender`, which always may be said."""
    dkim: Dkim | None = None
    rate: Rate = Rate()
    retry: Retry = Retry()
    on_unknown: str = ""
    """Hold | Resend | AssumeSent; empty: by what the provider can do."""
    suspend: bool = False


class ContactMapping(Plan, frozen=True):
    """CEL expressions over `event` that say who an event is about."""

    id: str = ""
    email: str = ""
    name: str = ""
    locale: str = ""
    timezone: str = ""
    traits: dict[str, str] = {}


class EventTypePlan(Plan, frozen=True):
    """The contract of one CloudEvents type."""

    name: str
    type: str
    schema: str = ""
    """JSON Schema as JSON text; empty: any data."""
    on_invalid: str = "Reject"
    contact: ContactMapping | None = None
    sensitive: tuple[str, ...] = ()
    emitters: tuple[str, ...] = ()
    """Namespaces whose flows may emit it, besides the runtime's own; `*`: all."""
    readers: tuple[str, ...] = ()
    """Namespaces whose flows may read it, besides the runtime's own; `*`: all."""


class Cap(Plan, frozen=True):
    """At most `max` mails in `per` (ISO 8601): the last `per` until now (Rolling), or days (CalendarDay)."""

    max: int
    per: str
    counting: str = "Rolling"


class QuietHours(Plan, frozen=True):
    """A time of day (`HH:MM`) without mails; `to` before `start` is the next morning."""

    start: str
    to: str
    days: tuple[str, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    timezone: str = "contact"
    fallback_timezone: str = ""
    """Empty: the runtime's default."""
    action: str = "Defer"
    """Defer | Skip."""


class PolicyPlan(Plan, frozen=True):
    """What a contact has to have agreed to, how often mails may come, and when."""

    name: str
    topic: str
    consent: str = "OptOut"
    transactional: bool = False
    caps: tuple[Cap, ...] = ()
    on_capped: str = "Skip"
    """Skip | Defer."""
    quiet_hours: QuietHours | None = None
    provider: str = ""
    users: tuple[str, ...] = ()
    """Namespaces whose flows may use it, besides the runtime's own; `*`: all."""
    other_recipients: bool = False
    """Whether its mails may go to anybody but the contact."""


class FilePlan(Plan, frozen=True):
    """A key of a ConfigMap that a flow attaches to its mails."""

    namespace: str
    config_map: str
    key: str
    content: bytes

    @property
    def id(self) -> str:
        """`namespace/name/key`."""
        return f"{self.namespace}/{self.config_map}/{self.key}"


class Delivery(Plan, frozen=True):
    """Where mails go: Live, Redirect (every one to `to`), Capture (composed, but never handed over)."""

    mode: str = "Live"
    to: str = ""


class RuntimePlan(Plan, frozen=True):
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
    max_body_bytes: int = 262_144
    unknown_types: str = "Allow"
    service_accounts: bool = False
    """Whether the receiver takes projected ServiceAccount tokens of the cluster (DESIGN 4, Sidecar)."""
    namespaces: tuple[str, ...] = ()
    """Whose flows, and whose ServiceAccounts, it serves; `*`: everybody's."""
    undeclared_readers: tuple[str, ...] = ()
    """Whose flows may read and emit types that no EventType declares, besides its own namespace's."""
    delivery: Delivery = Delivery()
    suspend: bool = False

    @property
    def id(self) -> str:
        """`namespace_name`: the prefix of its stream and bucket names."""
        return f"{self.namespace}_{self.name}"
