"""The certificate that the webhooks are served with, replaceable while they serve.

A new one counts from the next handshake on; connections that are open keep theirs.
"""

import ssl
import tempfile
from pathlib import Path
from typing import Protocol

from emailflow_operator.errors import OperatorError


class InvalidCertificate(OperatorError):
    """A certificate and key that don't belong together, or are none."""

    reason = "InvalidCertificate"


class Certificates(Protocol):
    """Where the certificate comes from."""

    @property
    def context(self) -> ssl.SSLContext:
        """For the server; it changes in place."""

    async def start(self) -> None:
        """Return once there is a certificate. Raises OperatorError when there can't be one."""

    async def follow(self) -> None:
        """Keep it current, until cancelled."""


class Serving:
    """An SSL context with a certificate that can be replaced."""

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded: tuple[bytes, bytes] | None = None

    def load(self, certificate: bytes, key: bytes) -> bool:
        """Serve with this chain and key (PEM); whether they are new. Raises InvalidCertificate."""
        if self._loaded == (certificate, key):
            return False
        # OpenSSL's interface in Python reads files only; these live for a moment, for this user only.
        with tempfile.TemporaryDirectory() as folder:
            chain, private = Path(folder) / "tls.crt", Path(folder) / "tls.key"
            chain.write_bytes(certificate)
            private.touch(mode=0o600)
            private.write_bytes(key)
            try:
                # A context of its own first: a wrong pair must not spoil the one that serves.
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, private)
                self.context.load_cert_chain(chain, private)
            except (ssl.SSLError, OSError) as error:
                raise InvalidCertificate(f"tls.crt, tls.key: expected a pair in PEM: {error}") from None
        self._loaded = (certificate, key)
        return True


def demand(context: ssl.SSLContext, authorities: Path) -> None:
    """Let in only clients whose certificate one of these (PEM) has signed. Raises InvalidCertificate."""
    try:
        context.load_verify_locations(cafile=authorities)
    except (ssl.SSLError, OSError) as error:
        raise InvalidCertificate(f"{authorities}: expected certificates in PEM: {error}") from None
    context.verify_mode = ssl.CERT_REQUIRED
