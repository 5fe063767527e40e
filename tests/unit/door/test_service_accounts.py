"""Which ServiceAccount tokens let in: signed by the cluster, for this door, from a namespace that may."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from emailflow_runtime.adapters.http_door.errors import Forbidden, Unauthorized
from emailflow_runtime.adapters.http_door.service_accounts import ServiceAccountTokens
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.errors import Unavailable

ISSUER = "https://kubernetes.default.svc"
NOW = SystemClock().now() // 1_000_000_000
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
KEYS = {"rsa": (RSA, "RS256"), "ec": (EC, "ES256")}
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CLAIMS = {
    "iss": ISSUER,
    "aud": ["emailflow"],
    "exp": NOW + 600,
    "iat": NOW,
    "nbf": NOW,
    "sub": "system:serviceaccount:shop:checkout",
    "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "checkout"}},
}


def jwks(*names):
    made = []
    for name in names:
        key, algorithm = KEYS[name]
        kind = jwt.algorithms.RSAAlgorithm if algorithm == "RS256" else jwt.algorithms.ECAlgorithm
        made.append(json.loads(kind.to_jwk(key.public_key())) | {"kid": name, "use": "sig", "alg": algorithm})
    return json.dumps({"keys": made})


def token(key="rsa", *, signed_by=None, kid=None, **changes):
    private, algorithm = KEYS[key]
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, signed_by or private, algorithm=algorithm, headers={"kid": kid or key})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "jwks.json"
    path.write_text(jwks("rsa", "ec"))
    return path


@pytest.fixture
def allowed():
    return ["mail", "shop"]


@pytest.fixture
def verifier(file, allowed):
    return ServiceAccountTokens(
        file, issuer=ISSUER, audience="emailflow", namespaces=lambda: allowed, clock=SystemClock()
    )


@pytest.mark.parametrize("key", KEYS)
async def test_a_token_of_the_cluster_lets_in(verifier, key):
    for _ in range(2):
        await verifier.verify(token(key))


def unsigned():
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "rsa"}).encode()).rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).rstrip(b"=").decode()
    return f"{head}.{body}."


BAD = {
    "no token": "hello",
    "three parts of nothing": "a.b.c",
    "another signer": token(signed_by=STRANGER),
    "an unknown key": token(kid="other"),
    "no signature": unsigned(),
    "expired": token(exp=NOW - 60),
    "not valid yet": token(nbf=NOW + 600),
    "another audience": token(aud=["https://kubernetes.default.svc"]),
    "no audience": token(aud=None),
    "another issuer": token(iss="https://other"),
    "no expiry": token(exp=None),
    "not a ServiceAccount": token(sub="system:node:n1"),
    "no name": token(sub="system:serviceaccount:shop:"),
}


@pytest.mark.parametrize("what", BAD)
async def test_any_other_does_not(verifier, what):
    with pytest.raises(Unauthorized):
        await verifier.verify(BAD[what])


async def test_the_public_key_is_no_shared_secret(verifier, file):
    """The oldest attack on tokens: an HMAC with what everybody may read."""
    secret = json.loads(file.read_text())["keys"][0]["n"]
    with pytest.raises(Unauthorized):
        await verifier.verify(jwt.encode(CLAIMS, secret, algorithm="HS256", headers={"kid": "rsa"}))


async def test_a_namespace_that_may_not_is_forbidden_also_once_it_may_no_longer(verifier, allowed):
    with pytest.raises(Forbidden):
        await verifier.verify(token(sub="system:serviceaccount:other:app"))
    await verifier.verify(token())
    allowed.remove("shop")
    with pytest.raises(Forbidden):
        await verifier.verify(token())
    allowed.append("*")
    await verifier.verify(token(sub="system:serviceaccount:other:app"))


async def test_a_rotated_key_counts_at_once_and_the_old_one_no_more(verifier, file):
    file.write_text(jwks("rsa"))
    await verifier.verify(token("rsa"))
    with pytest.raises(Unauthorized):
        await verifier.verify(token("ec"))
    file.write_text(jwks("ec"))
    await verifier.verify(token("ec"))
    with pytest.raises(Unauthorized):
        await verifier.verify(token("rsa"))


async def test_without_the_keys_nobody_is_called_wrong(verifier, file):
    file.unlink()
    with pytest.raises(Unavailable):
        await verifier.verify(token())
