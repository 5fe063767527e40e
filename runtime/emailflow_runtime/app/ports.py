"""The ports: what the machinery needs of the outside, in the machinery's own words.

Each port has one contract suite in tests/contract, run on the fake and on the real adapter. No type of
NATS, HTTP or SMTP may appear here.
"""

from collections.abc import Collection
from typing import Any, Protocol

import msgspec

from emailflow_api.plans import Address, TemplatePlan
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.outcomes import Accepted, Deferred, Outcome, Refused, Unknown
from emailflow_runtime.rendering.rendered import Rendered

__all__ = [
    "Accepted",
    "CaughtMessage",
    "Clock",
    "Deferred",
    "Inbox",
    "InboxPage",
    "Ingest",
    "MailTransport",
    "MessagePart",
    "OpenedMessage",
    "Outcome",
    "OutgoingMail",
    "Refused",
    "RenderRequest",
    "Rendered",
    "Renderer",
    "Unknown",
]


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


class Renderer(Protocol):
    """Renders under CPU, memory, output and time limits, and survives templates that break them."""

    async def render(self, request: RenderRequest) -> Rendered:
        """Raises RenderError, whose `reason` is one of UndefinedVariable, TemplateSyntaxError,
        TemplateForbidden, TemplateTimeout, TemplateMemory, TemplateTooLarge, InvalidHeader, RenderFailed."""


# --- handing over ----------------------------------------------------------------------------------


class OutgoingMail(msgspec.Struct, frozen=True):
    """A mail ready to be handed over. `message` is RFC 5322 bytes with CRLF line ends, signed if it is
    to be; `id` is the mail's own, also the local part of its Message-ID."""

    id: str
    envelope_sender: str
    recipients: tuple[str, ...]
    message: bytes


class MailTransport(Protocol):
    """One provider's way out. Many calls may run at once; the transport keeps and reuses connections."""

    async def hand_over(self, mail: OutgoingMail, *, start_by: float, give_up_at: float) -> Outcome:
        """Hand one mail over and say what is known. Never raises for what the provider does.

        `start_by` and `give_up_at` are times of the event loop's clock (seconds): past the first nothing
        is started (Deferred, reason `TooLate`), past the second waiting ends (Unknown when the message's
        end was sent, else Deferred).
        """

    async def check(self, *, give_up_at: float) -> Deferred | None:
        """Connect as for a mail, hand nothing over; None: mails would be taken, or are being taken.

        `give_up_at` is a time of the event loop's clock. Never raises for what the provider does.
        """

    async def close(self) -> None:
        """Finish what is under way, say goodbye, close."""


# --- the inbox of the mail catcher -----------------------------------------------------------------


class CaughtMessage(msgspec.Struct, frozen=True):
    """One caught mail as a list shows it. `received` is nanoseconds since 1970, `size` octets.

    `bcc` are the envelope's recipients that no header names.
    """

    id: str
    message_id: str
    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    subject: str
    snippet: str
    received: int
    size: int
    attachments: int
    read: bool = False


class MessagePart(msgspec.Struct, frozen=True):
    """A file that came with a mail: an attachment, or `inline` (a picture that the HTML refers to)."""

    id: str
    file_name: str
    content_type: str
    content_id: str
    inline: bool
    content: bytes


class OpenedMessage(msgspec.Struct, frozen=True):
    """One caught mail, read in full. `html` and `text` are as sent: nothing is cleaned here.

    `date` is the Date header in nanoseconds since 1970, else the time of arrival.
    """

    summary: CaughtMessage
    return_path: str
    date: int
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]
    parts: tuple[MessagePart, ...]
    source: bytes


class InboxPage(msgspec.Struct, frozen=True):
    """A stretch of the inbox, newest first. `total` and `unread` count the inbox, the others the query."""

    messages: tuple[CaughtMessage, ...]
    total: int
    unread: int
    matching: int
    matching_unread: int


class Inbox(Protocol):
    """What pages need of a mail catcher. Reads are local and take milliseconds, so they don't wait."""

    @property
    def position(self) -> int:
        """Changes whenever the inbox does."""

    def messages(self, *, query: str = "", start: int = 0, limit: int = 50) -> InboxPage:
        """The messages that match every word of the query, in any case, newest first.

        A word is looked for in sender, recipients, subject and text; `from:`, `to:` and `subject:` before
        it name the place; quotes keep words together.
        """

    def message(self, message_id: str) -> OpenedMessage | None:
        """The message, or None; `latest` is the newest one."""

    def mark_read(self, message_ids: Collection[str] | None, *, read: bool = True) -> None:
        """Mark these, or all (None). Unknown ids are passed by."""

    def delete(self, message_ids: Collection[str] | None) -> None:
        """Delete these, or all (None). Unknown ids are passed by."""

    async def wait_for_change(self, position: int) -> int:
        """The inbox's position, as soon as it isn't `position`. Raises Unavailable when the inbox closes."""
