"""From a host name to a session that takes mails: connect, TLS, EHLO, AUTH.

Passwords go through TLS or stay on the machine. A server that doesn't prove who it is gets nothing.
"""

import asyncio
import ipaddress
import socket
import ssl
from typing import NamedTuple

from emailflow_api import plans
from emailflow_runtime.adapters.smtp.connection import Connection
from emailflow_runtime.core.outcomes import Deferred
from emailflow_runtime.core.smtp.errors import SessionFailed
from emailflow_runtime.core.smtp.extensions import Extensions
from emailflow_runtime.core.smtp.opening import authenticate, greet, hello, start_tls


class Session(NamedTuple):
    """A connection that mails can be handed over on."""

    connection: Connection
    extensions: Extensions


class Opener:
    """Opens sessions with one provider."""

    def __init__(self, declared: plans.Smtp, *, password: bytes | None, ca: bytes | None, name: str) -> None:
        """`name` is what EHLO says; empty: the machine's."""
        self._declared = declared
        self._password = password
        self._ca = ca
        self._name = name
        self._context: ssl.SSLContext | None = None

    async def open(self, *, give_up_at: float) -> Session:
        """Raises SessionFailed."""
        connection = await self._connect(give_up_at)
        try:
            await connection.converse(greet(), give_up_at=give_up_at)
            extensions = await self._introduce(connection, give_up_at)
            if self._declared.tls == "StartTls":
                await connection.converse(start_tls(extensions), give_up_at=give_up_at)
                await self._upgrade(connection, give_up_at)
                extensions = await self._introduce(connection, give_up_at)
            if self._declared.username:
                login = authenticate(extensions, self._declared.username, self._password or b"")
                await connection.converse(login, give_up_at=give_up_at)
        except BaseException:
            connection.abort()
            raise
        return Session(connection, extensions)

    async def _connect(self, give_up_at: float) -> Connection:
        self._guard_password()
        loop = asyncio.get_running_loop()
        host, tls = self._declared.host, self._declared.tls == "Implicit"
        try:
            async with asyncio.timeout_at(give_up_at):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop),
                    host,
                    self._declared.port,
                    ssl=self._tls_context() if tls else None,
                    server_hostname=host if tls else None,
                )
        except ssl.SSLError as error:
            raise _failed("TlsFailed", error) from error
        except OSError as error:
            raise _failed("ConnectFailed", error) from error
        return connection

    async def _upgrade(self, connection: Connection, give_up_at: float) -> None:
        try:
            async with asyncio.timeout_at(give_up_at):
                await connection.upgrade(self._tls_context(), self._declared.host)
        except OSError as error:
            raise _failed("TlsFailed", error) from error

    async def _introduce(self, connection: Connection, give_up_at: float) -> Extensions:
        name = self._name or _own_name(connection.local_address)
        return await connection.converse(hello(name), give_up_at=give_up_at)

    def _tls_context(self) -> ssl.SSLContext:
        """Verifies certificate and name, against the declared CA only where there is one.

        Raises SessionFailed when that is no CA.
        """
        if self._context is None:
            try:
                cadata = self._ca.decode("ascii") if self._ca else None
                self._context = ssl.create_default_context(cadata=cadata)
            except ValueError as error:
                raise _failed("TlsFailed", error) from error
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context

    def _guard_password(self) -> None:
        """A password goes in clear to this machine only."""
        declared = self._declared
        if declared.username and declared.tls == "None" and not _is_loopback(declared.host):
            raise SessionFailed(
                Deferred("AuthFailed", "smtp.tls: a username needs Implicit or StartTls", systemic=True)
            )


def _failed(reason: str, error: Exception) -> SessionFailed:
    return SessionFailed(Deferred(reason, str(error) or type(error).__name__, systemic=True))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_name(address: str) -> str:
    """The machine's name if it is a full one, else its address (RFC 5321 section 4.1.4)."""
    name = socket.gethostname()
    if "." in name:
        return name
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
