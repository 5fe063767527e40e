"""What is known after a mail was handed to a provider. The four words that every transport answers with."""

from typing import TypeAlias

import msgspec


class Accepted(msgspec.Struct, frozen=True):
    """The provider took responsibility (SMTP: 250 after DATA)."""

    reply: str
    provider_id: str = ""


class Deferred(msgspec.Struct, frozen=True):
    """Not now; certainly not accepted. `retry_after` in seconds when the provider said so.

    `systemic`: the provider as a whole is in trouble (connect, TLS, auth), not this one mail.
    """

    reason: str
    reply: str = ""
    code: int = 0
    enhanced: str = ""
    retry_after: float | None = None
    systemic: bool = False


class Refused(msgspec.Struct, frozen=True):
    """Never; certainly not accepted. `enhanced` is the RFC 3463 status code when there was one."""

    reason: str
    reply: str = ""
    code: int = 0
    enhanced: str = ""


class Unknown(msgspec.Struct, frozen=True):
    """It can't be known whether the provider accepted (the connection ended after DATA)."""

    reason: str
    detail: str = ""


NO_SERVICE = frozenset((421, 429, 503))
"""RFC 5321 section 3.8: the service closes the channel; RFC 6585 section 4, RFC 9110 section 15.6.4."""


def by_provider(deferred: Deferred) -> bool:
    """Whether it says nothing about this one mail, but that the provider takes none at all now."""
    return deferred.systemic or deferred.code in NO_SERVICE


Outcome: TypeAlias = Accepted | Deferred | Refused | Unknown
