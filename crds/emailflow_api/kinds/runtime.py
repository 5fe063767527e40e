"""EmailRuntime: the data plane that serves flows, and who may use it.

Contacts, consent, suppression and caps belong to a runtime, so it also is the border of who knows whom.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.condition import ConditionedStatus
from emailflow_api.kinds.metadata import Column, Definition, Resource, ready_columns
from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.namespaces import Namespaces
from emailflow_api.kinds.pod import Pod
from emailflow_api.kinds.reference import ObjectReference, SecretKeyReference
from emailflow_api.kinds.rule import Rule
from emailflow_api.kinds.text import Duration, EmailAddress, HttpUrl, Locale, NatsUrls, Quantity, Timezone


class Nats(ApiModel):
    """The NATS server (2.14.3 or later, with JetStream) that holds everything."""

    url: NatsUrls | None = None
    """URLs of the servers, separated by commas. Absent: the NATS that the operator was installed with."""
    credentials_secret_ref: SecretKeyReference | None = None
    """A credentials file (JWT and seed). Absent: no authentication."""
    ca_secret_ref: SecretKeyReference | None = None
    """CA certificates (PEM) to trust instead of the system's."""
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies of each stream; an odd number."""


class Receiver(ApiModel):
    """Where events come in over HTTP. Closed (401) while there is nothing that a token can be verified by."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.anonymous) && self.anonymous && has(self.tokensSecretRef))",
            message="anonymous: true lets everybody in, so it goes without tokensSecretRef",
            holds=lambda self: not (self.anonymous and self.tokens_secret_ref is not None),
        ),
    )

    anonymous: bool = False
    """True lets in whoever reaches the port, without a token."""
    unknown_types: Literal["Allow", "Reject"] = "Allow"
    """What happens to events of a type that no EventType describes."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=8_388_608)] = 262_144
    """Largest request body, in bytes."""
    tokens_secret_ref: SecretKeyReference | None = None
    """Bearer tokens that are let in, one a line."""
    service_accounts: bool = True
    """Let in ServiceAccount tokens of the cluster whose audience is `emailflow/<namespace>/<runtime>`."""


class Delivery(ApiModel):
    """Whether mails really go out."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.to) == (self.mode == 'Redirect')",
            message="to goes with mode: Redirect, and only with it",
            holds=lambda self: (self.to is not None) == (self.mode == "Redirect"),
        ),
    )

    mode: Literal["Live", "Redirect", "Capture"] = "Live"
    """To the contacts (Live), all to one address (Redirect), or to nobody (Capture): judged and composed, and
    told of by their facts. Only `emailflow dev` shows them."""
    to: EmailAddress | None = None
    """With Redirect: the address that gets all mails."""


class Defaults(ApiModel):
    """What holds where flows, policies and contacts say nothing."""

    provider_ref: ObjectReference | None = None
    """The EmailProvider. Absent: `default`."""
    policy_ref: ObjectReference | None = None
    """The ContactPolicy; it is for flows elsewhere as its `users` say. Absent: none, and mails go out without
    consent; only who wants no mail at all gets none."""
    locale: Locale = "en"
    """The language."""
    timezone: Timezone = "UTC"
    """The IANA time zone."""


class Retention(ApiModel):
    """How long things are kept."""

    events: Duration = "P30D"
    """Events in the log."""
    dedupe: Duration = "P30D"
    """Memory of what was seen: repeats of an event within this time change nothing."""
    dead_letters: Duration = "P30D"
    """Dead letters."""


class Sqlite(ApiModel):
    """A SQLite file in the pod."""

    size: Quantity = "5Gi"
    """Size of its volume."""


class Postgres(ApiModel):
    """A PostgreSQL database."""

    url_secret_ref: SecretKeyReference
    """The connection URL."""


class ReadModel(ApiModel):
    """Where timelines, funnels and the message log are kept: exactly one of its members."""

    exactly_one: ClassVar[tuple[str, ...]] = ("sqlite", "postgres")

    sqlite: Sqlite | None = None
    """A SQLite file in the pod; rebuilt from the log when it is gone."""
    postgres: Postgres | None = None
    """A PostgreSQL database."""


class EmailRuntimeSpec(ApiModel):
    """The data plane."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.shards) ? self.shards : 1) == (has(oldSelf.shards) ? oldSelf.shards : 1)",
            message="shards can't be changed; make another EmailRuntime",
            holds=None,
            field_path=".shards",
        ),
    )

    nats: Nats = Field(default_factory=Nats)
    """The NATS server."""
    shards: Annotated[int, Field(ge=1, le=256)] | None = None
    """Parts that contacts are divided into; each is served by one replica. Can't be changed. Absent: 1."""
    replicas: Annotated[int, Field(ge=0, le=256)] = 1
    """Runtime pods; those beyond the number of shards stand by."""
    public_url: HttpUrl | None = None
    """The URL under which people reach links, pixels and preference pages."""
    keys_secret_ref: SecretKeyReference | None = None
    """The keyring that signs links; rotated by adding a key. Absent: the operator makes one."""
    allowed_namespaces: Namespaces = Field(default_factory=Namespaces)
    """Whose flows may use this runtime. Absent: those of its own namespace."""
    receiver: Receiver = Field(default_factory=Receiver)
    """Where events come in over HTTP."""
    delivery: Delivery = Field(default_factory=Delivery)
    """Whether mails really go out. Absent: they do."""
    defaults: Defaults = Field(default_factory=Defaults)
    """What holds where flows, policies and contacts say nothing."""
    retention: Retention = Field(default_factory=Retention)
    """How long things are kept."""
    read_model: ReadModel | None = None
    """Where timelines, funnels and the message log are kept. Absent: a SQLite file. Not supported yet:
    without effect."""
    pod: Pod = Field(default_factory=Pod)
    """Settings of the runtime's pods."""
    suspend: bool = False
    """True holds everything: events are accepted, nothing is decided or sent."""
    deletion_policy: Literal["Retain", "Delete"] = "Retain"
    """What becomes of the streams when the runtime is deleted: they stay (Retain), or go too (Delete)."""


class EmailRuntimeStatus(ConditionedStatus):
    """What the operator last saw."""

    replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods there are."""
    ready_replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods that are ready."""
    selector: Annotated[str, Field(max_length=1024)] | None = None
    """Label selector of the pods, for the scale subresource."""
    shards: Annotated[int, Field(ge=0)] | None = None
    """Shards that the streams have."""
    flows: Annotated[int, Field(ge=0)] | None = None
    """Flows that the runtime serves."""


class EmailRuntime(Resource):
    """EmailRuntime is the data plane: NATS, replicas, shards, retention, public URL, who may use it."""

    definition: ClassVar[Definition] = Definition(
        plural="emailruntimes",
        short="er",
        columns=ready_columns(
            Column("Replicas", ".status.readyReplicas", type="integer"),
            Column("Flows", ".status.flows", type="integer"),
            Column("Mode", ".spec.delivery.mode"),
            Column("Suspended", ".spec.suspend", type="boolean", priority=1),
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    )

    kind: Literal["EmailRuntime"]
    """EmailRuntime."""
    spec: EmailRuntimeSpec
    """The data plane."""
    status: EmailRuntimeStatus | None = None
    """What the operator last saw."""
