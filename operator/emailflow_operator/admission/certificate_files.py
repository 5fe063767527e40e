"""Certificates that somebody else makes: files of a mounted Secret, as cert-manager writes them.

They are read again when they change. Whoever makes them also fills in `caBundle` (cert-manager's CA injector
does, by the annotation that the chart sets).
"""

import asyncio
import logging
import ssl
from pathlib import Path

from emailflow_operator.admission.serving import InvalidCertificate, Serving

LOOK_EVERY = 10.0

log = logging.getLogger(__name__)


class CertificateFiles:
    """`tls.crt` and `tls.key` in a folder."""

    def __init__(self, folder: Path, *, look_every: float = LOOK_EVERY) -> None:
        self._folder = folder
        self._look_every = look_every
        self._serving = Serving()

    @property
    def context(self) -> ssl.SSLContext:
        """See Certificates."""
        return self._serving.context

    async def start(self) -> None:
        """See Certificates. Raises InvalidCertificate."""
        self._read()

    async def follow(self) -> None:
        """See Certificates. Files that are wrong for a moment are passed over: the old ones go on."""
        while True:
            await asyncio.sleep(self._look_every)
            try:
                self._read()
            except InvalidCertificate as error:
                log.warning("%s", error, extra={"reason": error.reason})

    def _read(self) -> None:
        """Two small files on a memory file system: no need for a thread."""
        try:
            pair = (self._folder / "tls.crt").read_bytes(), (self._folder / "tls.key").read_bytes()
        except OSError as error:
            raise InvalidCertificate(f"{self._folder}: can't be read: {error.strerror}") from None
        if self._serving.load(*pair):
            log.info("webhooks are served with the certificate in %s", self._folder)
