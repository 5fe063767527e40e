"""The ports: what the machinery needs of the outside, in the machinery's own words.

Each port has one contract suite in tests/contract, run on the fake and on the real adapter. No type of
NATS, HTTP or SMTP may appear here.
"""

from typing import Any, Protocol

import msgspec

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.core.cloudevents.event import CloudEvent


class Clock(Protocol):
    """The only way to know what time it is."""

    def now(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""


class Ingest(Protocol):
    """Where every door hands in what it has accepted."""

    async def accept(self, event: CloudEvent) -> None:
        """Return once the event is on disk.

        Raises InvalidEvent (it breaks its contract), Overloaded or Unavailable (try again later).
        """


# --- rendering -------------------------------------------------------------------------------------


class RenderRequest(msgspec.Struct, frozen=True):
    """One mail to render. `context` holds plain JSON values: event, trigger, contact, journey, now, links."""

    template: TemplatePlan
    locale: str
    context: dict[str, Any]


class Rendered(msgspec.Struct, frozen=True):
    """A rendered mail: the subject is one line, `html` has its CSS inlined, `text` is never empty."""

    subject: str
    html: str
    text: str
    locale: str
    """The locale of the body that was chosen."""


class Renderer(Protocol):
    """Renders under CPU, memory, output and time limits, and survives templates that break them."""

    async def render(self, request: RenderRequest) -> Rendered:
        """Raises RenderError, whose `reason` is one of UndefinedVariable, TemplateSyntaxError,
        TemplateForbidden, TemplateTimeout, TemplateMemory, TemplateTooLarge, RenderFailed."""


# --- handing over ----------------------------------------------------------------------------------


class OutgoingMail(msgspec.Struct, frozen=True):
    """A mail ready to be handed over. `message` is RFC 5322 bytes with CRLF line ends, signed if it is
    to be; `id` is the mail's own, also the local part of its Message-ID."""

    id: str
    envelope_sender: str
    recipients: tuple[str, ...]
    message: bytes


class Accepted(msgspec.Struct, frozen=True):
    """The provider took responsibility (SMTP: 250 after DATA)."""

    reply: str
    provider_id: str = ""


class Deferred(msgspec.Struct, frozen=True):
    """Not now; certainly not accepted. `retry_after` in seconds when the provider said so.

    `systemic`: the provider as a whole is in trouble (connect, TLS, auth), not this one mail.
    """

    reason: str
    reply: str = ""
    code: int = 0
    enhanced: str = ""
    retry_after: float | None = None
    systemic: bool = False


class Refused(msgspec.Struct, frozen=True):
    """Never; certainly not accepted. `enhanced` is the RFC 3463 status code when there was one."""

    reason: str
    reply: str = ""
    code: int = 0
    enhanced: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """It can't be known whether the provider accepted (the connection ended after DATA)."""

    reason: str
    detail: str = ""


Outcome = Accepted | Deferred | Refused | Unknown


class MailTransport(Protocol):
    """One provider's way out. Many calls may run at once; the transport keeps and reuses connections."""

    async def hand_over(self, mail: OutgoingMail, *, start_by: float, give_up_at: float) -> Outcome:
        """Hand one mail over and say what is known. Never raises for what the provider does.

        `start_by` and `give_up_at` are times of the event loop's clock (seconds): past the first nothing
        is started (Deferred, reason `TooLate`), past the second waiting ends (Unknown when the message's
        end was sent, else Deferred).
        """

    async def close(self) -> None:
        """Finish what is under way, say goodbye, close."""
