"""What operator and compiling child say to each other, as msgpack."""

from typing import Any

import msgspec

from emailflow_api.errors import Finding, Severity
from emailflow_operator.reconcile.desired import Compiled
from emailflow_operator.reconcile.scope import RuntimeKey


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What is to be compiled: `count` items follow. `memory`: bytes for all of it; `seconds`: of processor
    time for each object."""

    key: RuntimeKey
    count: int
    memory: int
    seconds: float
    given_up: dict[str, Finding]


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One object, encoded by itself: what is wrong with one is no other's problem. `stub` only names it."""

    subject: str
    stub: dict[str, Any]
    value: bytes


_encoder = msgspec.msgpack.Encoder()
_job = msgspec.msgpack.Decoder(Job)
_compiled = msgspec.msgpack.Decoder(Compiled)


def encode(message: Job | Item) -> bytes:
    """As it is sent."""
    return _encoder.encode(message)


def decode_job(body: bytes) -> Job:
    """Raises msgspec.DecodeError."""
    return _job.decode(body)


def encode_compiled(compiled: Compiled) -> bytes:
    """As it is answered."""
    return _encoder.encode(compiled)


def decode_compiled(body: bytes) -> Compiled:
    """Raises msgspec.DecodeError."""
    return _compiled.decode(body)


def compile_too_large(subject: str) -> Finding:
    """That an object takes more memory than there is for it."""
    message = "needs more memory to compile than there is for an object"
    return Finding(Severity.ERROR, "CompileTooLarge", subject, "", message)
