"""Times as nats-server writes them. Pure."""

from datetime import datetime


def nanoseconds(timestamp: str) -> int:
    """An RFC 3339 time in UTC with up to nine decimals, in nanoseconds since 1970 UTC."""
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)
