"""The ways out that an EmailProvider can be: what each needs to know to hand a mail over.

Values of secrets never stand in a manifest, only references to them.
"""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.reference import SecretKeyReference
from emailflow_api.kinds.rule import KeyedBy, Rule
from emailflow_api.kinds.text import Domain, HttpUrl, Name, ObjectName

_LOOPBACK = re.compile(r"localhost|::1|127(?:\.[0-9]+){3}")


def _is_loopback(host: str) -> bool:
    return _LOOPBACK.fullmatch(host) is not None


class Smtp(ApiModel):
    """A submission server or relay (RFC 5321, RFC 6409)."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.username) == has(self.passwordSecretRef)",
            message="username and passwordSecretRef need each other",
            holds=lambda self: (self.username is None) == (self.password_secret_ref is None),
        ),
        Rule(
            cel=(
                "!has(self.username) || !has(self.tls) || self.tls != 'None' || "
                "self.host.matches('^(localhost|::1|127([.][0-9]+){3})$')"
            ),
            message="a username needs tls: Implicit or StartTls, since the password would go in clear",
            holds=lambda self: self.username is None or self.tls != "None" or _is_loopback(self.host),
        ),
    )

    host: Annotated[str, Field(min_length=1, max_length=253, pattern="^[A-Za-z0-9._:-]+$")]
    """Host name or IP address."""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """TCP port. Absent: 465 with tls Implicit, else 587."""
    tls: Literal["Implicit", "StartTls", "None"] = "StartTls"
    """TLS from the first byte (Implicit), by STARTTLS, which is then required (StartTls), or none at all."""
    username: Name | None = None
    """User name for AUTH. Absent: no authentication."""
    password_secret_ref: SecretKeyReference | None = None
    """The password for AUTH."""
    ca_secret_ref: SecretKeyReference | None = None
    """CA certificates (PEM) to trust instead of the system's."""
    hello: Domain | None = None
    """The name said in EHLO. Absent: the machine's."""


class Ses(ApiModel):
    """Amazon SES (API v2)."""

    region: Annotated[str, Field(min_length=1, max_length=32, pattern="^[a-z0-9-]+$")]
    """AWS region such as eu-west-1."""
    configuration_set: Annotated[str, Field(max_length=64, pattern="^[A-Za-z0-9_-]+$")] | None = None
    """The configuration set that publishes feedback."""
    credentials_secret_ref: SecretKeyReference | None = None
    """An AWS credentials file. Absent: the identity that the pod has."""
    endpoint: HttpUrl | None = None
    """URL of a compatible service. Absent: that of the region."""


class SendGrid(ApiModel):
    """Twilio SendGrid (Mail Send v3)."""

    api_key_secret_ref: SecretKeyReference
    """The API key."""
    region: Literal["Global", "Eu"] = "Global"
    """Where the account's data lives."""
    asm_group: Annotated[int, Field(ge=1)] | None = None
    """SendGrid's unsubscribe group. Absent: none, EmailFlow's own consent decides alone."""
    ip_pool: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The IP pool to send from."""
    endpoint: HttpUrl | None = None
    """URL of a compatible service. Absent: that of the region."""


class Mailchimp(ApiModel):
    """Mailchimp Transactional (Mandrill)."""

    api_key_secret_ref: SecretKeyReference
    """The API key."""
    subaccount: Name | None = None
    """The subaccount to send from."""
    endpoint: HttpUrl | None = None
    """URL of a compatible service. Absent: Mailchimp's."""


class HubSpotTemplate(ApiModel):
    """A template here, and the mail in HubSpot that stands for it."""

    template: ObjectName
    """Name of the EmailTemplate."""
    email_id: Annotated[int, Field(ge=1)]
    """Id of HubSpot's single-send mail."""


class HubSpot(ApiModel):
    """HubSpot's transactional single-send API, which renders its own mails."""

    token_secret_ref: SecretKeyReference
    """The private app's access token."""
    templates: Annotated[list[HubSpotTemplate], Field(max_length=200), KeyedBy("template")] = []
    """Which of HubSpot's mails stands for which template."""
    endpoint: HttpUrl | None = None
    """URL of a compatible service. Absent: HubSpot's."""


class Sns(ApiModel):
    """SES's feedback through Amazon SNS."""

    topic_arns: Annotated[
        list[Annotated[str, Field(max_length=256, pattern="^arn:aws[a-z-]*:sns:[^ ]*$")]],
        Field(min_length=1, max_length=10),
    ]
    """The topics whose messages are believed."""


class SendGridFeedback(ApiModel):
    """SendGrid's signed event webhook."""

    public_key: Annotated[str, Field(min_length=1, max_length=1024)]
    """The verification key, base64 as SendGrid shows it."""


class MailchimpFeedback(ApiModel):
    """Mailchimp Transactional's signed webhook."""

    key_secret_ref: SecretKeyReference
    """The webhook's authentication key."""


class HubSpotFeedback(ApiModel):
    """HubSpot's signed webhook."""

    client_secret_ref: SecretKeyReference
    """The app's client secret."""


class Feedback(ApiModel):
    """How deliveries, bounces, complaints and opens come back: exactly one of its members."""

    exactly_one: ClassVar[tuple[str, ...]] = ("sns", "sendGrid", "mailchimp", "hubSpot")

    sns: Sns | None = None
    """SES's, through SNS."""
    send_grid: SendGridFeedback | None = None
    """SendGrid's webhook."""
    mailchimp: MailchimpFeedback | None = None
    """Mailchimp Transactional's webhook."""
    hub_spot: HubSpotFeedback | None = None
    """HubSpot's webhook."""


class DomainRate(ApiModel):
    """A rate of its own for one recipient domain."""

    domain: Domain
    """Domain of recipients."""
    per_second: Annotated[float, Field(gt=0, le=100_000)]
    """Mails a second."""
