"""How much a client may make the server hold, and for how long: before anybody knows who it is."""

import msgspec


class ServerLimits(msgspec.Struct, frozen=True):
    """Bytes and seconds. A limit on bodies is the applications' own; theirs is the time for one, too."""

    head_bytes: int = 65_536
    """Of the request line and the headers of one request; also of trailers, and chunk extensions in a row."""
    url_bytes: int = 8_192
    headers: int = 200
    """Of one request. An event has 64 attributes at most."""
    head_seconds: float = 10.0
    """From a request's first byte, or from connecting, to the end of its headers."""
    request_seconds: float = 30.0
    """From a request's first byte to its last, whatever the application waits for; also for a client that
    doesn't read its answer."""
    pipelined: int = 32
    """Requests that wait on one connection for those before them."""
    connections: int = 1_024
    connections_of_peer: int = 512
    """Of one address. An ingress, or a node that hides addresses, is one peer for everybody behind it."""
    drain_seconds: float = 2.0
    """How long an answer that ends a connection may take to be read."""
    drain_bytes: int = 1 << 20
    """What may still come in meanwhile, and is dropped."""
