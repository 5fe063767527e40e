"""What can be wrong with a request before there is an event in it. Each `reason` is part of the API."""

from emailflow_runtime import errors
from emailflow_runtime.errors import EmailFlowError


class DoorError(EmailFlowError):
    """Root: the request is refused as it is."""


class NotFound(DoorError):
    """Nothing is served at this path."""

    reason = "NotFound"


class MethodNotAllowed(DoorError):
    """Only POST and OPTIONS mean something here."""

    reason = "MethodNotAllowed"


class TokenInQuery(DoorError):
    """A bearer token in the URL, where every log on the way keeps it."""

    reason = "TokenInQuery"


class Unauthorized(DoorError):
    """No bearer token, or one that nobody here knows."""

    reason = "Unauthorized"


class ReceiverClosed(Unauthorized):
    """There is nothing here that a token could be verified by, whoever brings it."""

    reason = "ReceiverClosed"


Forbidden = errors.Forbidden
"""A good token, whose bearer may not send events here. A sidecar passes it on, so it is no door's own."""


class UnsupportedContentEncoding(DoorError):
    """A compressed body."""

    reason = "UnsupportedContentEncoding"


class BodyTimeout(DoorError):
    """The body did not come within the time allowed."""

    reason = "BodyTimeout"


class ClientGone(DoorError):
    """The client hung up while sending: there is nobody left to answer."""

    reason = "ClientGone"
