"""EmailProvider: a way out for mails, how fast it may be used, and what to do when it fails.

Which provider a mail takes is the flow's, the policy's or the runtime's to say, never the provider's.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.condition import ConditionedStatus
from emailflow_api.kinds.metadata import Column, Definition, Resource, ready_columns
from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.reference import ObjectReference, SecretKeyReference
from emailflow_api.kinds.rule import KeyedBy, Rule, unique
from emailflow_api.kinds.send import Mailbox
from emailflow_api.kinds.text import Domain, Duration, EmailAddress
from emailflow_api.kinds.transport import DomainRate, Feedback, HubSpot, Mailchimp, SendGrid, Ses, Smtp


class Dkim(ApiModel):
    """Sign mails (RFC 6376; Ed25519 by RFC 8463)."""

    domain: Domain
    """The signing domain (d=)."""
    selector: Domain
    """The selector (s=)."""
    key_secret_ref: SecretKeyReference
    """The private key, PEM."""


class Senders(ApiModel):
    """Whom flows and templates may say that mails are from, and where replies may go."""

    domains: Annotated[list[Domain], Field(max_length=100)] = []
    """Domains, in A-labels: any address in them, not in domains below them."""
    addresses: Annotated[list[EmailAddress], Field(max_length=100)] = []
    """Single addresses."""


class Warmup(ApiModel):
    """A slow start for a new sender: a daily amount that doubles until `rate` alone decides."""

    start: Annotated[int, Field(ge=1, le=10_000_000)]
    """Mails on the first day."""
    double_every: Duration = "P1D"
    """How long until the amount doubles."""


class Rate(ApiModel):
    """How fast the provider may be used, by all replicas together."""

    per_second: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Mails a second on average. Absent: no limit."""
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Mails at once after a pause. Absent: those of one second."""
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 16
    """Mails under way at the same time."""
    per_domain: Annotated[list[DomainRate], Field(max_length=100), KeyedBy("domain")] = []
    """Slower rates for some recipient domains."""
    warmup: Warmup | None = None
    """A slow start. Absent: none. Not supported yet: without effect."""


class Retry(ApiModel):
    """When a deferred mail is tried again, and when no more."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 8
    """Attempts in all, the first one counted."""
    backoff: Duration = "PT30S"
    """Wait before the second attempt; it doubles with each further one."""
    max_backoff: Duration = "PT1H"
    """Longest wait between two attempts."""
    give_up_after: Duration = "P2D"
    """Give up when the mail is as old as this."""


def _goes_with(kind: str, attribute: str, member: str) -> Rule:
    """The member that configures a type is there with it, and only with it."""
    return Rule(
        cel=f"has(self.{member}) == (self.type == '{kind}')",
        message=f"{member} goes with type: {kind}, and only with it",
        holds=lambda self: (getattr(self, attribute) is not None) == (self.type == kind),
    )


def _feedback_fits(spec: Any) -> bool:
    if spec.feedback is None:
        return True
    members = {
        "Ses": spec.feedback.sns,
        "SendGrid": spec.feedback.send_grid,
        "Mailchimp": spec.feedback.mailchimp,
        "HubSpot": spec.feedback.hub_spot,
    }
    return members.get(spec.type) is not None


class EmailProviderSpec(ApiModel):
    """The way out: `type`, and the member of the same name that configures it."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _goes_with("Smtp", "smtp", "smtp"),
        _goes_with("Ses", "ses", "ses"),
        _goes_with("SendGrid", "send_grid", "sendGrid"),
        _goes_with("Mailchimp", "mailchimp", "mailchimp"),
        _goes_with("HubSpot", "hub_spot", "hubSpot"),
        Rule(
            cel="!has(self.feedback) || (self.type == 'Ses' && has(self.feedback.sns))"
            " || (self.type == 'SendGrid' && has(self.feedback.sendGrid))"
            " || (self.type == 'Mailchimp' && has(self.feedback.mailchimp))"
            " || (self.type == 'HubSpot' && has(self.feedback.hubSpot))",
            message="feedback must be the type's own: sns for Ses, else the member named like the type",
            holds=_feedback_fits,
            field_path=".feedback",
        ),
        Rule(
            cel="!has(self.dkim) || self.type in ['Smtp', 'Ses']",
            message="only mails by Smtp and Ses are signed here; other providers sign themselves",
            holds=lambda self: self.dkim is None or self.type in {"Smtp", "Ses"},
            field_path=".dkim",
        ),
    )

    type: Literal["Smtp", "Ses", "SendGrid", "Mailchimp", "HubSpot"]
    """Which way out. Not supported yet: all but Smtp."""
    smtp: Smtp | None = None
    """With type Smtp: a submission server or relay."""
    ses: Ses | None = None
    """With type Ses: Amazon SES."""
    send_grid: SendGrid | None = None
    """With type SendGrid: Twilio SendGrid."""
    mailchimp: Mailchimp | None = None
    """With type Mailchimp: Mailchimp Transactional."""
    hub_spot: HubSpot | None = None
    """With type HubSpot: HubSpot's transactional single-send API."""
    from_: Annotated[Mailbox | None, Field(alias="from")] = None
    """The sender where neither step nor template names one."""
    senders: Senders | None = None
    """What flows and templates may say as `from` and `replyTo`. Absent: addresses in the domain of `from`."""
    dkim: Dkim | None = None
    """Sign mails, for Smtp and Ses. Absent: the provider signs, or nobody."""
    rate: Rate = Field(default_factory=Rate)
    """How fast the provider may be used."""
    retry: Retry = Field(default_factory=Retry)
    """When a deferred mail is tried again."""
    on_unknown: Literal["Hold", "Resend", "AssumeSent"] | None = None
    """What to do when it can't be known whether a mail was accepted: ask a person (Hold), send it again
    (Resend), count it as sent (AssumeSent). Absent: Resend where the provider drops repeats, else Hold."""
    failover: Annotated[
        list[ObjectReference], Field(max_length=5), unique("name", "no provider may stand in failover twice")
    ] = []
    """Providers to use, in order, while this one is out of service. Not supported yet: without effect."""
    feedback: Feedback | None = None
    """How deliveries, bounces, complaints and opens come back. Absent: as returned mail, or not at all. Not
    supported yet: without effect."""
    suspend: bool = False
    """True holds all mails of this provider."""


class EmailProviderStatus(ConditionedStatus):
    """What the operator last saw."""


class EmailProvider(Resource):
    """EmailProvider is a way out for mails: SMTP, SES, SendGrid, Mailchimp Transactional or HubSpot."""

    definition: ClassVar[Definition] = Definition(
        plural="emailproviders",
        short="epr",
        columns=ready_columns(
            Column("Type", ".spec.type"),
            Column("Suspended", ".spec.suspend", type="boolean"),
        ),
    )

    kind: Literal["EmailProvider"]
    """EmailProvider."""
    spec: EmailProviderSpec
    """The way out."""
    status: EmailProviderStatus | None = None
    """What the operator last saw."""
