"""What operator and reviewing child say to each other, as msgpack."""

from typing import Any, Literal

import msgspec


class Order(msgspec.Struct, frozen=True, array_like=True):
    """A review to answer; its body follows. `sidecars` are SidecarSettings' fields."""

    path: Literal["validate", "inject"]
    sidecars: dict[str, Any]
    beside: bool
    """Whether other objects are known at all."""
    memory: int
    seconds: float


class Read(msgspec.Struct, frozen=True, tag=True):
    """The child has read the review: its uid."""

    uid: str


class Get(msgspec.Struct, frozen=True, tag=True):
    """One object is asked for."""

    kind: str
    namespace: str
    name: str


class Of(msgspec.Struct, frozen=True, tag=True):
    """All objects of a kind are asked for."""

    kind: str
    namespace: str | None


Question = Read | Get | Of


class Found(msgspec.Struct, frozen=True, array_like=True):
    """Objects that are known; `too_much` when they are more than a review may look at."""

    objects: list[dict[str, Any]] = []
    too_much: bool = False


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The answer to a review: HTTP's status, and JSON."""

    status: int
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_order = msgspec.msgpack.Decoder(Order)
_question: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_found = msgspec.msgpack.Decoder(Found)
_answer = msgspec.msgpack.Decoder(Answer)


def encode(message: Order | Question | Found | Answer) -> bytes:
    """As it is sent. Raises RecursionError for objects that are nested without end."""
    return _encoder.encode(message)


def decode_order(body: bytes) -> Order:
    """Raises msgspec.DecodeError, as all of them."""
    return _order.decode(body)


def decode_question(body: bytes) -> Question:
    """What the child asks, or says."""
    return _question.decode(body)


def decode_found(body: bytes) -> Found:
    """What the operator knows."""
    return _found.decode(body)


def decode_answer(body: bytes) -> Answer:
    """What the child answers."""
    return _answer.decode(body)
