"""Keys of NATS (nkeys), and tokens signed by them. A seed is a secret: it is in no message and no log."""

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from typing import Any

import nkeys

from emailflow_operator.errors import InvalidCredentials

OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
USER = nkeys.PREFIX_BYTE_USER


class KeyPair:
    """A key pair of NATS, made from its seed."""

    def __init__(self, seed: str) -> None:
        """Raises InvalidCredentials."""
        try:
            self._keys = nkeys.from_seed(bytearray(seed.encode()))
            self.public: str = self._keys.public_key.decode()
        except (nkeys.NkeysError, ValueError, TypeError):
            raise InvalidCredentials("a NATS key can't be read: expected an nkey seed") from None
        self.seed = seed

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a token of NATS (a JWT with the algorithm ed25519-nkey)."""
        stamped = {**claims, "iat": int(time.time())}  # noqa: TID251 - a token says when it was made
        stamped["jti"] = _base32(hashlib.sha256(_json(stamped)).digest())
        head = _base64(_json({"typ": "JWT", "alg": "ed25519-nkey"}))
        signed = f"{head}.{_base64(_json(stamped))}"
        return f"{signed}.{_base64(self._keys.sign(signed.encode()))}"


def new_key(kind: int) -> KeyPair:
    """A new key pair; `kind` is OPERATOR, ACCOUNT or USER."""
    return KeyPair(nkeys.encode_seed(os.urandom(32), kind).decode())


def derived_key(seed: str, kind: int, purpose: str) -> KeyPair:
    """The key pair that this seed has for a purpose: the same one whenever it is asked for.

    So the key of every account follows from one Secret and from what it is for, and none has to be kept.
    """
    key = hmac.digest(seed.encode(), f"emailflow\n{kind}\n{purpose}".encode(), "sha256")
    return KeyPair(nkeys.encode_seed(key, kind).decode())


def credentials_file(token: str, seed: str) -> str:
    """A credentials file, as every client of NATS reads it."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def claims_in(credentials: str) -> dict[str, Any]:
    """The claims of a credentials file; empty for what is none. Signatures are nats-server's to check."""
    for line in credentials.splitlines():
        if len(line.strip().split(".")) == 3:
            return claims_of(line.strip())
    return {}


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token; empty for what is none."""
    parts = token.split(".")
    try:
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(parts[1] + "==")) if parts[1:] else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base32(data: bytes) -> str:
    return base64.b32encode(data).rstrip(b"=").decode()
