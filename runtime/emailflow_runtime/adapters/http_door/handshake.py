"""`OPTIONS /events`: the validation handshake of HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4.

It says that events are expected here, which anyone may know; it lets nobody in. The callback that a sender
may offer is never called: it would make this door call any URL that a stranger names.
"""

import re
from collections.abc import Mapping

from emailflow_runtime.adapters.http_door.asgi import Answer

_ALLOW = (b"allow", b"POST, OPTIONS")
# "A DNS name expression": what else is in the header is no origin, and gets no permission.
_ORIGIN = re.compile(rb"[A-Za-z0-9.*:\-]{1,253}")


def handshake(headers: Mapping[bytes, bytes]) -> Answer:
    """Permission for the origin that asks, at any rate; without a (valid) question just the methods."""
    origin = headers.get(b"webhook-request-origin", b"")
    if not _ORIGIN.fullmatch(origin):
        return Answer(200, (_ALLOW,))
    return Answer(200, (_ALLOW, (b"webhook-allowed-origin", origin), (b"webhook-allowed-rate", b"*")))
