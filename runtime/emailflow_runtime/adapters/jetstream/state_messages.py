"""STATE's messages: which change becomes which message, and back.

The headers make scans cheap: they tell what a record waits for without its body.
"""

from collections.abc import Mapping
from typing import assert_never

import msgspec

from emailflow_api.jetstream.naming import StateSubjects
from emailflow_runtime.adapters.jetstream.batch import Message
from emailflow_runtime.app.stores import (
    Change,
    InHand,
    PutContact,
    PutInHand,
    PutRecord,
    PutRelayPosition,
    PutSeen,
    RecordHead,
)
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Journey, encode_record

WAKE_AT = "EmailFlow-Wake-At"
MAIL = "EmailFlow-Mail"
HELD = "EmailFlow-Held"
"""Why a mail waits for something that is not there."""
STAGE = "EmailFlow-Stage"
"""Revision and step of a journey that is not finished."""

_encode = msgspec.msgpack.Encoder().encode
_contact = msgspec.msgpack.Decoder(Contact)
_in_hand = msgspec.msgpack.Decoder(InHand)
_hashes = msgspec.msgpack.Decoder(tuple[int, ...])


def message(subjects: StateSubjects, change: Change) -> Message:
    """The message that stores a change."""
    match change:
        case PutRecord(record=record, expires=expires):
            journey = record.journey
            subject = subjects.journey(journey.flow, journey.contact, journey.instance)
            return Message(subject, encode_record(record), {**_head(journey), **_ttl(expires)})
        case PutContact(contact=contact):
            return Message(subjects.contact(contact.key), _encode(contact), {})
        case PutSeen(flow=flow, contact=about, hashes=hashes, expires=expires):
            return Message(subjects.seen(flow, about), _encode(hashes), _ttl(expires))
        case PutRelayPosition(sequence=sequence):
            return Message(subjects.relay, str(sequence).encode(), {})
        case PutInHand(in_hand=in_hand):
            return Message(subjects.in_hand, _encode(in_hand), {})
        case _:
            assert_never(change)


def _head(journey: Journey) -> dict[str, str]:
    headers = {}
    if journey.wake_at:
        headers[WAKE_AT] = str(journey.wake_at)
    if journey.mail is not None and not journey.mail.settled:
        headers[MAIL] = journey.mail.status
        if journey.mail.held:
            headers[HELD] = journey.mail.held
    if not journey.finished:
        headers[STAGE] = f"{journey.revision} {journey.step}"
    return headers


def _ttl(seconds: int) -> dict[str, str]:
    return {"Nats-TTL": f"{seconds}s"} if seconds else {}


def record_head(
    subjects: StateSubjects, subject: str, headers: Mapping[str, str], sequence: int
) -> RecordHead:
    """The head of the record stored at this subject."""
    tokens = subject.removeprefix(f"{subjects.prefix}.journey.").split(".")
    flow, contact, instance = tokens
    revision, _, step = headers.get(STAGE, "").partition(" ")
    wake_at, mail, held = int(headers.get(WAKE_AT, "0")), headers.get(MAIL, ""), headers.get(HELD, "")
    return RecordHead(flow, contact, instance, sequence, wake_at, mail, revision, step, held)


def decode_contact(data: bytes) -> Contact:
    """The contact in a message's data."""
    return _contact.decode(data)


def decode_in_hand(data: bytes) -> InHand:
    """What is in hand, by a message's data."""
    return _in_hand.decode(data)


def decode_hashes(data: bytes) -> tuple[int, ...]:
    """The hashes in a companion message's data."""
    return _hashes.decode(data)
