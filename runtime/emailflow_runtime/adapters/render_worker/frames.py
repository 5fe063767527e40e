"""What runtime and worker say to each other: msgpack behind a length of four bytes.

No pickles: a worker that a template has taken over can send nothing but data.
"""

from collections.abc import Iterator

import msgspec

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.rendering.rendered import Rendered

MAX_FRAME = 16 * 1024 * 1024
"""Bytes. The largest allowed mail in four-byte characters fits; a worker that sends more is killed."""

_LENGTH = 4


class Order(msgspec.Struct, frozen=True, array_like=True):
    """One mail to render with a template that the worker has, by content hash."""

    id: int
    template: str
    locale: str
    context: msgspec.Raw
    """The context, encoded by itself: what is wrong with one is no other's problem."""


class Orders(msgspec.Struct, frozen=True, array_like=True):
    """What goes to a worker at once. `templates` are new to it; `forget` drops those that it had."""

    orders: tuple[Order, ...]
    templates: dict[str, TemplatePlan]
    forget: bool = False


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What became of an order: a mail, or the reason and message of a RenderError."""

    id: int
    rendered: Rendered | None
    reason: str = ""
    message: str = ""


READY = Reply(id=-1, rendered=None)
"""A worker's first word."""

_encoder = msgspec.msgpack.Encoder()
_orders = msgspec.msgpack.Decoder(Orders)
_reply = msgspec.msgpack.Decoder(Reply)
_context = msgspec.msgpack.Decoder(dict)


class InvalidFrame(Exception):
    """Bytes that are no frame: the process at the other end is broken."""


def framed(message: Orders | Reply) -> bytes:
    """The message as a frame."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


def encoded_context(context: dict[str, object]) -> msgspec.Raw:
    """Raises TypeError, ValueError, OverflowError or RecursionError for what isn't plain JSON."""
    return msgspec.Raw(_encoder.encode(context))


def decoded_context(context: msgspec.Raw) -> dict[str, object]:
    """The context as it was encoded."""
    return _context.decode(context)


def read_orders(body: bytes) -> Orders:
    """Raises msgspec.DecodeError."""
    return _orders.decode(body)


class Unframer:
    """Puts replies together from whatever pieces a pipe delivers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Reply]:
        """The replies that are complete now. Raises InvalidFrame."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH:
            end = _LENGTH + frame_length(self._buffer[:_LENGTH])
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH:end])
            del self._buffer[:end]
            try:
                yield _reply.decode(body)
            except msgspec.MsgspecError as error:
                raise InvalidFrame(f"no reply: {error}") from error


def frame_length(prefix: bytes | bytearray) -> int:
    """The length that a frame's first four bytes announce. Raises InvalidFrame past MAX_FRAME."""
    length = int.from_bytes(prefix, "big")
    if length > MAX_FRAME:
        raise InvalidFrame(f"expected at most {MAX_FRAME} bytes, not {length}")
    return length
