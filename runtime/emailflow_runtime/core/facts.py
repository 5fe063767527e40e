"""Facts: what happened to a journey, in the past tense. The log holds them, and a journey is their fold.

Every fact is published as a CloudEvent (`core/publication.py`); field names are therefore API. A fact
says everything that `evolve` needs; it never refers to state that only memory has.
"""

from typing import Any, TypeAlias

import msgspec

from emailflow_runtime.core.cloudevents.event import CloudEvent


class Gate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One check before a send: its name, its verdict (Pass, Skip, Hold, End) and the reason.

    `until` is when a mail on Hold is looked at again (nanoseconds since 1970 UTC).
    """

    gate: str
    verdict: str
    reason: str = ""
    until: int = 0


COPIES = "copies"
"""Says of a mail that went out why an address in `cc` or `bcc` did not get it."""
PROVIDER = "provider"
"""The gate of mails that wait for their provider: it is down, busy, or has had enough for now."""


ABSENT = frozenset(
    {
        "PolicyNotFound",
        "ProviderNotFound",
        "SecretNotFound",
        "InvalidSigningKey",
        "TemplateNotFound",
        "ConfigMapNotFound",
    }
)
"""Reasons of mails that wait for something that is named and not there, or can't be used as it is."""


class _Fact(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Base: the journey, the fact's number within it (from 1), the moment (nanoseconds since 1970 UTC).

    `sequence` is the position in EVENTS up to which this contact's events have been considered in this
    flow, `applied` the hashes (`identity.event_hash`) of those that counted since the fact before.
    """

    journey: str
    number: int
    at: int
    sequence: int = 0
    applied: tuple[int, ...] = ()


class Entered(_Fact, frozen=True, kw_only=True, tag="journey.entered"):
    """A contact entered a flow, on this revision, because of `event`.

    `applied` includes what the journey remembered that this one follows in its place.
    """

    flow: str
    contact: str
    instance: str
    revision: str
    event: CloudEvent
    key: str = ""
    redone: bool = False
    """A mail that could not be made is made again: the journey does that one step and ends."""


class Advanced(_Fact, frozen=True, kw_only=True, tag="journey.advanced"):
    """The journey went through `path` and waits at its last step until `wake_at`, by timer `timer`."""

    path: tuple[str, ...]
    wake_at: int
    timer: int


class Exited(_Fact, frozen=True, kw_only=True, tag="journey.exited"):
    """The journey was left before its end: an exit, a goal, a restart, a condition that ceased to hold."""

    result: str
    reason: str


class Completed(_Fact, frozen=True, kw_only=True, tag="journey.completed"):
    """The journey went through `path` and ran to an end."""

    result: str
    path: tuple[str, ...] = ()


class MailRequested(_Fact, frozen=True, kw_only=True, tag="message.requested"):
    """The journey went through `path`, whose last step asks for a mail, due at `due`."""

    path: tuple[str, ...]
    mail: str
    turn: int
    template: str
    due: int


class MailAttempted(_Fact, frozen=True, kw_only=True, tag="message.attempted"):
    """The intent: this provider is about to be called. Written before the call (DESIGN promise 3).

    Nobody starts handing over after `start_by`; after `settled_by` its outcome can be no other than
    what was recorded.
    """

    mail: str
    provider: str
    attempt: int
    start_by: int
    settled_by: int
    gates: tuple[Gate, ...] = ()


class MailAccepted(_Fact, frozen=True, kw_only=True, tag="message.accepted"):
    """The provider took responsibility."""

    mail: str
    provider: str
    attempt: int
    reply: str = ""
    provider_id: str = ""


class MailDeferred(_Fact, frozen=True, kw_only=True, tag="message.deferred"):
    """Not accepted for now; tried again at `retry_at`, by timer number `timer`.

    `systemic`: the attempt failed by the provider as a whole, so it does not count under `maxAttempts`.
    """

    mail: str
    reason: str
    retry_at: int
    timer: int
    attempt: int = 0
    systemic: bool = False
    reply: str = ""
    code: int = 0
    enhanced: str = ""
    gates: tuple[Gate, ...] = ()


class MailSkipped(_Fact, frozen=True, kw_only=True, tag="message.skipped"):
    """Not sent, on purpose: `reason` is the first gate's that said no."""

    mail: str
    reason: str
    gates: tuple[Gate, ...] = ()


class MailFailed(_Fact, frozen=True, kw_only=True, tag="message.failed"):
    """Not sent, and it won't be."""

    mail: str
    reason: str
    message: str = ""
    attempt: int = 0
    reply: str = ""
    code: int = 0
    enhanced: str = ""


class MailUnknown(_Fact, frozen=True, kw_only=True, tag="message.unknown"):
    """It can't be known whether the provider accepted. Never resent blindly."""

    mail: str
    reason: str
    provider: str
    attempt: int
    detail: str = ""


Fact: TypeAlias = (
    Entered
    | Advanced
    | Exited
    | Completed
    | MailRequested
    | MailAttempted
    | MailAccepted
    | MailDeferred
    | MailSkipped
    | MailFailed
    | MailUnknown
)


def fact_type(fact: Fact) -> str:
    """The CloudEvents type of a fact, `dev.emailflow.…`."""
    return f"dev.emailflow.{fact.__struct_config__.tag}"


def to_builtins(fact: Fact) -> dict[str, Any]:
    """A fact as plain JSON values."""
    built: dict[str, Any] = msgspec.to_builtins(fact)
    return built
