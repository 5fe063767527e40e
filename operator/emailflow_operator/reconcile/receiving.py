"""What `ReceiverClosed` says of a runtime: whether there is anything that its receiver can verify callers by.

A receiver without a verifier answers 401 to every event; events on NATS come in all the same. Pure.
"""

from collections.abc import Mapping
from typing import Any

from emailflow_api.conditions import Statement
from emailflow_operator.reconcile import reasons
from emailflow_operator.reconcile.children.settings import Issuer
from emailflow_operator.reconcile.cluster import Object

RECEIVER_CLOSED = "ReceiverClosed"


def receiver_closed(runtime: Object, issuer: Issuer) -> Statement:
    """The condition of a raw EmailRuntime, by what is known of the cluster's token issuer."""
    receiver: Mapping[str, Any] = (runtime.get("spec") or {}).get("receiver") or {}
    if receiver.get("anonymous"):
        return _open(reasons.ANONYMOUS, "Whoever reaches the receiver may send events, about anyone")
    tokens = receiver.get("tokensSecretRef") is not None
    accounts = receiver.get("serviceAccounts", True)
    if accounts and not (issuer.url and issuer.jwks):
        why = f"The cluster's token issuer can't be read ({issuer.trouble or 'not tried yet'}): "
        if tokens:
            return _open(reasons.ISSUER_UNREADABLE, f"{why}only the tokens of tokensSecretRef are taken")
        return _closed(reasons.ISSUER_UNREADABLE, f"{why}every event over HTTP is answered with 401")
    if accounts or tokens:
        return _open(reasons.TOKENS_VERIFIED, "Every event over HTTP needs a token, which is verified")
    return _closed(
        reasons.NO_VERIFIER,
        "Every event over HTTP is answered with 401: expected receiver.serviceAccounts, "
        "receiver.tokensSecretRef or receiver.anonymous",
    )


def _open(reason: str, message: str) -> Statement:
    return Statement(RECEIVER_CLOSED, "False", reason, message)


def _closed(reason: str, message: str) -> Statement:
    return Statement(RECEIVER_CLOSED, "True", reason, message)
