"""An SMTP server that keeps every mail, and says over HTTP what it has: the independent witness of the tests.

It runs in a pod, from a ConfigMap, with what the image has. While it is held it takes mails whole and answers
none of them, as a server does that is about to die.

    GET  /mails?to=ADDRESS&count=N&wait=SECONDS   mails to ADDRESS (absent: all), once there are N, or late
    GET  /counts?prefix=PREFIX&distinct=N&wait=…  address -> mails, once N addresses begin so, or late
    POST /hold, POST /release
    GET  /files/certificate.pem                   what port 465 (TLS, and a login) shows
    POST /password?is=WORD                        the one that port 465 takes from now on
"""

import asyncio
import email
import email.policy
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "sink.witness.svc"


class Sink:
    """Mails in the order of arrival; `answered` says whether the client was told 250."""

    def __init__(self) -> None:
        self.mails: list[dict[str, Any]] = []
        self.password = b""
        self.changed = asyncio.Condition()
        self.open = asyncio.Event()
        self.open.set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.content or b""
        content = raw if isinstance(raw, bytes) else raw.encode()
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        body = parsed.get_body(("plain", "html"))
        mail = {
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "subject": parsed["subject"],
            "id": parsed["message-id"],
            "headers": {name.lower(): str(value) for name, value in parsed.items()},
            "text": body.get_content() if body is not None else "",
            "answered": False,
            "at": time.time(),
        }
        self.mails.append(mail)
        await self._tell()
        await self.open.wait()
        mail["answered"] = True
        return "250 2.0.0 kept"

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def found(self, to: str) -> list[dict[str, Any]]:
        return [mail for mail in self.mails if not to or to in mail["to"]]

    async def get(self, request: web.Request) -> web.Response:
        to, count = request.query.get("to", ""), int(request.query.get("count", "0"))
        await self._until(lambda: len(self.found(to)) >= count, request)
        return web.json_response(self.found(to))

    def counted(self, prefix: str) -> Counter[str]:
        return Counter(to for each in self.mails for to in each["to"] if to.startswith(prefix))

    async def counts(self, request: web.Request) -> web.Response:
        prefix, distinct = request.query["prefix"], int(request.query["distinct"])
        await self._until(lambda: len(self.counted(prefix)) >= distinct, request)
        return web.json_response(self.counted(prefix))

    async def _until(self, met: Callable[[], bool], request: web.Request) -> None:
        try:
            async with asyncio.timeout(float(request.query.get("wait", "0"))), self.changed:
                await self.changed.wait_for(met)
        except TimeoutError:
            pass

    def may_enter(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
    ) -> AuthResult:
        return AuthResult(success=isinstance(login, LoginPassword) and login.password == self.password)

    async def change_password(self, request: web.Request) -> web.Response:
        self.password = request.query["is"].encode()
        return web.json_response({})

    async def hold(self, request: web.Request) -> web.Response:
        self.open.clear()
        return web.json_response({})

    async def release(self, request: web.Request) -> web.Response:
        self.open.set()
        return web.json_response({})


def certificate(folder: Path) -> Path:
    """A certificate for NAME that is its own authority, and its key, in one file."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "certificate.pem").write_bytes(made.public_bytes(pem))
    (folder / "both.pem").write_bytes(made.public_bytes(pem) + secret)
    return folder


async def main() -> None:
    sink = Sink()
    loop = asyncio.get_running_loop()
    folder = certificate(Path(tempfile.mkdtemp()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    await loop.create_server(lambda: SMTP(sink, enable_SMTPUTF8=True, loop=loop), "0.0.0.0", 587)
    login: Any = {"authenticator": sink.may_enter, "auth_required": True, "auth_require_tls": False}
    await loop.create_server(lambda: SMTP(sink, loop=loop, **login), "0.0.0.0", 465, ssl=context)
    app = web.Application()
    app.add_routes([web.get("/mails", sink.get), web.get("/counts", sink.counts)])
    app.add_routes([web.post("/hold", sink.hold), web.post("/release", sink.release)])
    app.add_routes([web.post("/password", sink.change_password)])
    app.add_routes([web.static("/files", folder)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 8080).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
