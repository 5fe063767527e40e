"""Names of what is made for an EmailRuntime, in its namespace. Pure; nothing else may build such a name.

They meet no other name: the chart takes no release whose objects begin with a prefix from here, the two
prefixes lead to different names, and a name that had to be cut is as long as no uncut one is, with a hash
that is too long to be found twice.
"""

import hashlib

PREFIX = "emailruntime-"
ADMIN_PREFIX = "admin-emailruntime-"
EARLIER_PREFIX = "emailflow-"
"""Up to version 0.1: an EmailRuntime `nats` would have got the name of the installation's own NATS."""
_LONGEST = 63
"""Of a Service's name and of a label's value (RFC 1123 label)."""
_HASH = 16


def child_name(runtime: str) -> str:
    """What the Deployment of a runtime is called, and all that stands around its pods; also its Service."""
    return _cut(PREFIX, runtime)


def admin_name(runtime: str) -> str:
    """What the headless Service of metrics and probes is called."""
    return _cut(ADMIN_PREFIX, runtime)


def earlier_name(runtime: str) -> str:
    """What versions up to 0.1 called a runtime's children; only to find them."""
    name = f"{EARLIER_PREFIX}{runtime}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(runtime.encode()).hexdigest()[:8]}"


def _cut(prefix: str, runtime: str) -> str:
    name = f"{prefix}{runtime}"
    if len(name) < _LONGEST:
        return name
    return f"{name[: _LONGEST - _HASH - 1]}-{hashlib.sha256(runtime.encode()).hexdigest()[:_HASH]}"
