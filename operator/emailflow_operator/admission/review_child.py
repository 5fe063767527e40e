"""The child of `reviewer`: `python -m emailflow_operator.admission.review_child PAGE`.

A review at a time: its body in, its answer out. Other objects are asked for as they are needed.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from emailflow_operator.adapters.confined.child import Channel
from emailflow_operator.admission.lister import Lister
from emailflow_operator.admission.review import InvalidReview, Request, inject, read_request, validate
from emailflow_operator.admission.review_frames import (
    Answer,
    Found,
    Get,
    Of,
    Order,
    Question,
    Read,
    decode_found,
    decode_order,
    encode,
)
from emailflow_operator.errors import OperatorError
from emailflow_operator.injection import Injector, SidecarSettings


class _TooMuch(Exception):
    """More stands beside the object than a review may look at."""


class _Beside:
    """A Lister that asks the operator."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def of(self, kind: str, namespace: str | None = None) -> Iterable[Mapping[str, Any]]:
        """See Lister."""
        return self._ask(Of(kind, namespace)).objects

    def get(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """See Lister."""
        return next(iter(self._ask(Get(kind, namespace, name)).objects), None)

    def _ask(self, question: Question) -> Found:
        found = decode_found(self._channel.ask(encode(question)))
        if found.too_much:
            raise _TooMuch
        return found


def work(channel: Channel) -> None:
    """Serve until the operator is gone."""
    while (said := channel.read()) is not None:
        order = decode_order(said)
        body = channel.read()
        if body is None:
            return
        channel.allow(memory=order.memory, seconds=order.seconds)
        channel.begin(order.path)
        channel.answer(encode(_answer(channel, order, body)))


def _answer(channel: Channel, order: Order, body: bytes) -> Answer:
    try:
        request = read_request(body)
        channel.ask(encode(Read(request.uid)))
        try:
            answer = _reviewed(order, request, _Beside(channel) if order.beside else None)
        except _TooMuch:
            answer = _reviewed(order, request, None)
        return Answer(200, json.dumps(answer).encode())
    except InvalidReview as error:
        return Answer(400, json.dumps({"reason": error.reason, "message": str(error)}).encode())
    except EOFError:
        raise
    except MemoryError:
        return Answer(413, json.dumps({"reason": "ReviewTooLarge"}).encode())
    except Exception as error:  # noqa: BLE001 - whatever is in a review, it has an answer
        message = type(error).__name__
        return Answer(500, json.dumps({"reason": OperatorError.reason, "message": message}).encode())


def _reviewed(order: Order, request: Request, lister: Lister | None) -> dict[str, Any]:
    if order.path == "inject":
        return inject(request, Injector(SidecarSettings(**order.sidecars)), lister)
    return validate(request, lister)


if __name__ == "__main__":
    work(Channel(int(sys.argv[1])))
