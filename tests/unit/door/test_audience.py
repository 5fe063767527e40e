"""A token is good for one runtime: what is given to one can't be used at another."""

import json
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from emailflow_api.pod_settings import PodSettings, audience
from emailflow_runtime.adapters.http_door import TokenVerifier
from emailflow_runtime.adapters.http_door.errors import Unauthorized
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.wiring.callers import callers

ISSUER = "https://kubernetes.default.svc"
KEY = ec.generate_private_key(ec.SECP256R1())


def token(*audiences: str) -> str:
    """What the kubelet gives a pod of the namespace `shop` for these audiences."""
    claims = {
        "iss": ISSUER,
        "aud": list(audiences),
        "exp": SystemClock().now() // 1_000_000_000 + 600,
        "sub": "system:serviceaccount:shop:checkout",
    }
    return jwt.encode(claims, KEY, algorithm="ES256", headers={"kid": "one"})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The cluster's keys, as the operator hands them to pods."""
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())) | {"kid": "one", "alg": "ES256"}
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [key]}))
    return file


def verifier(keys: Path, namespace: str, name: str) -> TokenVerifier:
    """Of a runtime that lets in ServiceAccounts of all namespaces."""
    settings = PodSettings(namespace, name, 1, "nats://n", issuer=ISSUER, jwks=str(keys))
    found = callers(settings, lambda: ["*"])
    assert found is not None
    return found


async def test_a_token_for_one_runtime_is_refused_by_all_others(keys: Path) -> None:
    """A tenant's own receiver hears tokens that other tenants' pods send it; they lead nowhere else."""
    heard = token(audience("evil", "default"))
    await verifier(keys, "evil", "default").verify(heard)
    for namespace, name in (("mail", "default"), ("evil", "other"), ("default", "evil")):
        with pytest.raises(Unauthorized):
            await verifier(keys, namespace, name).verify(heard)


@pytest.mark.parametrize("wide", ["emailflow", "emailflow/", "emailflow/mail", "emailflow/mail/", "*"])
async def test_no_audience_is_good_for_more_than_one_runtime(keys: Path, wide: str) -> None:
    with pytest.raises(Unauthorized):
        await verifier(keys, "mail", "default").verify(token(wide))


async def test_a_pod_may_have_one_token_for_two_runtimes_of_its_choice(keys: Path) -> None:
    both = token(audience("mail", "default"), audience("mail", "bulk"))
    await verifier(keys, "mail", "default").verify(both)
    await verifier(keys, "mail", "bulk").verify(both)
