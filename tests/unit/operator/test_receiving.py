"""A receiver is closed while there is nothing to verify callers by, and its runtime says so."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from emailflow_api.pod_settings import PodSettings
from emailflow_operator.control.issuer import read_issuer
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.children.settings import Issuer
from emailflow_operator.reconcile.events import events_for
from emailflow_operator.reconcile.receiving import receiver_closed

from .conftest import cluster_of, provider, runtime
from .test_children import children, settings_of
from .test_statuses import judged, standing

ISSUER = Issuer("https://kubernetes.default.svc", '{"keys": [{}]}')
UNREADABLE = Issuer(trouble="403: forbidden")
TOKENS = {"tokensSecretRef": {"name": "receiver", "key": "tokens"}}


@pytest.mark.parametrize(
    ("receiver", "issuer", "said"),
    [
        ({}, ISSUER, ("False", "TokensVerified")),
        (TOKENS, ISSUER, ("False", "TokensVerified")),
        ({"serviceAccounts": False, **TOKENS}, UNREADABLE, ("False", "TokensVerified")),
        ({}, UNREADABLE, ("True", "IssuerUnreadable")),
        ({}, Issuer(), ("True", "IssuerUnreadable")),
        (TOKENS, UNREADABLE, ("False", "IssuerUnreadable")),
        ({"serviceAccounts": False}, ISSUER, ("True", "NoVerifier")),
        ({"anonymous": True}, UNREADABLE, ("False", "Anonymous")),
        # What was known goes on while it can't be read again.
        ({}, ISSUER._replace(trouble="403: forbidden"), ("False", "TokensVerified")),
    ],
)
def test_what_the_condition_says(receiver: dict[str, Any], issuer: Issuer, said: tuple[str, str]) -> None:
    made = receiver_closed(runtime(receiver=receiver), issuer)
    assert (made.type, made.status, made.reason) == ("ReceiverClosed", *said)


@pytest.mark.parametrize("receiver", [{}, {"serviceAccounts": False}])
def test_a_pod_gets_nothing_to_verify_by_and_is_not_told_to_let_everybody_in(receiver: Any) -> None:
    settings: PodSettings = settings_of(children(runtime(receiver=receiver), issuer=UNREADABLE))
    assert (settings.tokens, settings.issuer, settings.jwks, settings.anonymous) == ("", "", "", False)
    said = settings_of(children(runtime(receiver={"anonymous": True})))
    assert said.anonymous is True


def test_a_closed_receiver_is_in_the_message_of_ready_and_an_event() -> None:
    cluster = cluster_of(runtime(), provider())
    status = judged(runtime(), standing(cluster, issuer=UNREADABLE))
    (ready, *_) = status["conditions"]
    assert ready["status"] == "True"
    assert "the receiver is closed [IssuerUnreadable]" in ready["message"]
    told = {each["reason"]: each["type"] for each in events_for(runtime(), status, "operator-0")}
    assert told["IssuerUnreadable"] == "Warning"


class Api:
    """An API server whose discovery answers, or refuses."""

    def __init__(self) -> None:
        self.refuses = True
        self.keys: list[dict[str, str]] = [{"kid": "1"}]

    async def get(self, path: str) -> Any:
        if self.refuses:
            raise KubernetesRefused(403, "forbidden")
        return {"issuer": ISSUER.url} if "well-known" in path else {"keys": self.keys}


def test_it_heals_by_itself_and_keeps_what_it_knew() -> None:
    api = Api()
    world: Any = SimpleNamespace(api=api, issuer=Issuer())
    owner = runtime()

    def state() -> str:
        asyncio.run(read_issuer(world))
        return receiver_closed(owner, world.issuer).status

    assert state() == "True"
    assert "forbidden" in world.issuer.trouble
    api.refuses = False
    assert state() == "False"
    assert json.loads(world.issuer.jwks) == {"keys": [{"kid": "1"}]}
    api.refuses = True
    assert state() == "False"


def test_discovery_without_keys_is_no_verifier() -> None:
    api = Api()
    api.refuses, api.keys = False, []
    world: Any = SimpleNamespace(api=api, issuer=Issuer())
    asyncio.run(read_issuer(world))
    assert receiver_closed(runtime(), world.issuer).reason == "IssuerUnreadable"
