"""Pods that may send: projected ServiceAccount tokens, verified with the cluster's own keys.

The keys are a JWKS file that the operator keeps current; the API server is never asked. No token is logged.
"""

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt

from emailflow_runtime.adapters.http_door.errors import Forbidden, Unauthorized
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.errors import Unavailable

ALGORITHMS = ["RS256", "ES256"]
"""What Kubernetes signs with."""
LEEWAY = 10
"""Seconds that clocks may differ."""
REMEMBERED = 1000
SECOND = 1_000_000_000
EVERYBODY = "*"

logger = logging.getLogger(__name__)


class ServiceAccountTokens:
    """The port TokenVerifier for the ServiceAccounts of the cluster, in some namespaces."""

    def __init__(
        self,
        keys: Path,
        *,
        issuer: str,
        audience: str,
        namespaces: Callable[[], Sequence[str]],
        clock: Clock,
    ) -> None:
        """`namespaces` are those that may send, now; `*` among them: all."""
        self._path = keys
        self._issuer = issuer
        self._audience = audience
        self._namespaces = namespaces
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._state: tuple[int, int, int] = (0, 0, 0)
        self._known: OrderedDict[bytes, tuple[int, str]] = OrderedDict()

    async def verify(self, token: str) -> None:
        """See TokenVerifier. A token that was good is good until it expires, without another look."""
        mark = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        expires, namespace = self._known.get(mark, (0, ""))
        if expires <= self._clock.now() // SECOND:
            expires, namespace = self._verified(token)
            self._known[mark] = (expires, namespace)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        allowed = self._namespaces()
        if namespace not in allowed and EVERYBODY not in allowed:
            raise Forbidden("Authorization: expected a ServiceAccount of a namespace that may send here")

    def _verified(self, token: str) -> tuple[int, str]:
        """When the token expires (seconds), and the namespace it is from. Raises Unauthorized."""
        try:
            key = self._key(jwt.get_unverified_header(token))
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise _unauthorized(type(error).__name__) from None
        kind, _, account = str(claims["sub"]).partition("system:serviceaccount:")
        namespace, _, name = account.partition(":")
        if kind or not namespace or not name:
            raise _unauthorized("the subject is no ServiceAccount")
        return int(claims["exp"]), namespace

    def _key(self, header: Mapping[str, Any]) -> jwt.PyJWK:
        """The key that the token names; the file is read again for one that is not known."""
        kid = header.get("kid")
        if kid not in self._keys:
            self._refresh()
        if not isinstance(kid, str) or kid not in self._keys:
            raise _unauthorized("its key is not the cluster's")
        return self._keys[kid]

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
            if state != self._state:
                keys = jwt.PyJWKSet.from_dict(json.loads(self._path.read_bytes())).keys
                self._keys = {key.key_id: key for key in keys if key.key_id}
                self._state = state
                # What an old key has signed has to be looked at again.
                self._known.clear()
        except (OSError, ValueError, jwt.PyJWTError) as error:
            logger.error("the cluster's keys can't be read: %s", type(error).__name__)
            raise Unavailable("tokens can't be checked at the moment", retry_after=5) from None


def _unauthorized(why: str) -> Unauthorized:
    return Unauthorized(f"Authorization: expected a ServiceAccount token for this receiver: {why}")
