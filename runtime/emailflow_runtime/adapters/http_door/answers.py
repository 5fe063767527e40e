"""From outcomes to answers: which status code, headers and words a sender gets for what happened.

An outcome is None (accepted) or the error that stood in the way. Only errors of the runtime speak to senders;
anything else becomes InternalError without a word of its own.
"""

import json
from collections.abc import Sequence

from emailflow_runtime.adapters.http_door import errors
from emailflow_runtime.adapters.http_door.asgi import Answer, Headers
from emailflow_runtime.core.cloudevents.errors import TooLarge, UnsupportedMediaType
from emailflow_runtime.errors import EmailFlowError, InvalidEvent, Overloaded, Unavailable

Outcome = EmailFlowError | None

ACCEPTED = Answer(202)

_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")
_STATUS: dict[type[EmailFlowError], int] = {
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.TokenInQuery: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.UnsupportedContentEncoding: 415,
    errors.BodyTimeout: 408,
    UnsupportedMediaType: 415,
    TooLarge: 413,
    InvalidEvent: 400,
    Overloaded: 429,
    Unavailable: 503,
}
_HEADERS: dict[type[EmailFlowError], Headers] = {
    errors.MethodNotAllowed: ((b"allow", b"POST, OPTIONS"),),
    errors.Unauthorized: ((b"www-authenticate", b'Bearer realm="emailflow"'),),
    errors.ReceiverClosed: ((b"www-authenticate", b'Bearer realm="emailflow"'),),
    errors.UnsupportedContentEncoding: ((b"accept-encoding", b"identity"),),
    errors.BodyTimeout: (_CLOSE,),
}


def status_of(outcome: Outcome) -> int:
    """The status code of one outcome; 500 for what senders should never see."""
    if outcome is None:
        return 202
    return next((_STATUS[kind] for kind in type(outcome).__mro__ if kind in _STATUS), 500)


def answer(outcome: Outcome) -> Answer:
    """The answer to a request with one event, or to one that is refused as a whole."""
    if outcome is None:
        return ACCEPTED
    headers = (_JSON, *_HEADERS.get(type(outcome), ()), *_retry_after([outcome]))
    return Answer(status_of(outcome), headers, json.dumps(_words(outcome)).encode())


def batch_answer(ids: Sequence[str | None], outcomes: Sequence[Outcome]) -> Answer:
    """The answer to a batch: 202 when all is accepted, else a list that tells of each item.

    400 when every item is invalid, 429 or 503 when every one may be sent again, 207 when they differ.
    """
    statuses = [status_of(outcome) for outcome in outcomes]
    if all(status == 202 for status in statuses):
        return ACCEPTED
    items: list[dict[str, int | str | None]] = [
        {"index": index, "id": id_, "status": status} | (_words(outcome) if outcome is not None else {})
        for index, (id_, status, outcome) in enumerate(zip(ids, statuses, outcomes, strict=True))
    ]
    headers = (_JSON, *_retry_after(outcomes))
    return Answer(_batch_status(set(statuses)), headers, json.dumps(items).encode())


def _batch_status(statuses: set[int]) -> int:
    if len(statuses) == 1:
        return statuses.pop()
    if statuses <= {400, 413, 415}:
        return 400
    return 503 if statuses <= {429, 503} else 207


def _words(error: EmailFlowError) -> dict[str, int | str | None]:
    if status_of(error) == 500:
        return {
            "reason": EmailFlowError.reason,
            "message": "this is a fault of the receiver; it is in its log",
        }
    return {"reason": error.reason, "message": str(error)}


def _retry_after(outcomes: Sequence[Outcome]) -> Headers:
    """`Retry-After` in seconds, the longest that any of them asks for (RFC 9110 section 10.2.3)."""
    seconds = [outcome.retry_after for outcome in outcomes if isinstance(outcome, Unavailable)]
    return ((b"retry-after", b"%d" % max(seconds)),) if seconds else ()
