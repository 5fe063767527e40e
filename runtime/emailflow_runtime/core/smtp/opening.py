"""How a connection becomes a session: greeting, EHLO, STARTTLS, AUTH (RFC 5321, 3207, 4954).

Whatever goes wrong here is the provider's trouble, or the settings', and says nothing about a mail.
"""

import base64
import re

from emailflow_runtime.core.outcomes import Deferred
from emailflow_runtime.core.smtp.dialogue import CLOSING, Dialogue
from emailflow_runtime.core.smtp.errors import ConversationEnded, SessionFailed
from emailflow_runtime.core.smtp.extensions import Extensions, offered
from emailflow_runtime.core.smtp.reply import Reply

_HELLO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,253}|\[[A-Za-z0-9:.]{1,60}\]")


def greet() -> Dialogue[None]:
    """Wait for the server's greeting. Raises SessionFailed."""
    reply = yield from _ask(b"", "ConnectFailed")
    if reply.kind != 2:
        raise failed("ConnectFailed", reply)


def hello(name: str) -> Dialogue[Extensions]:
    """Introduce the client by `name`, a host name or an address literal. Raises SessionFailed.

    A server that doesn't know EHLO is asked with HELO, and then offers nothing (RFC 5321 section 3.2).
    """
    if not _HELLO.fullmatch(name):
        raise SessionFailed(
            Deferred("InvalidHello", "hello: expected a host name or an address in brackets", systemic=True)
        )
    reply = yield from _ask(f"EHLO {name}\r\n".encode(), "ConnectFailed")
    if reply.kind == 2:
        return offered(reply)
    if reply.kind == 5:
        reply = yield from _ask(f"HELO {name}\r\n".encode(), "ConnectFailed")
    if reply.kind != 2:
        raise failed("ConnectFailed", reply)
    return Extensions()


def start_tls(extensions: Extensions) -> Dialogue[None]:
    """Ask for TLS; afterwards the next octets are TLS. Raises SessionFailed: never goes on in clear."""
    if not extensions.start_tls:
        raise SessionFailed(Deferred("TlsFailed", "the server offers no STARTTLS", systemic=True))
    reply = yield from _ask(b"STARTTLS\r\n", "TlsFailed")
    if reply.kind != 2:
        raise failed("TlsFailed", reply)


def authenticate(extensions: Extensions, username: str, password: bytes) -> Dialogue[None]:
    """Log in with PLAIN, else LOGIN (RFC 4954, 4616). Raises SessionFailed, without the credentials."""
    user = username.encode()
    if "PLAIN" in extensions.mechanisms:
        answers = [b"AUTH PLAIN " + base64.b64encode(b"\0" + user + b"\0" + password)]
    elif "LOGIN" in extensions.mechanisms:
        answers = [b"AUTH LOGIN", base64.b64encode(user), base64.b64encode(password)]
    else:
        raise SessionFailed(Deferred("AuthFailed", "AUTH: neither PLAIN nor LOGIN is offered", systemic=True))
    kinds = [3] * (len(answers) - 1) + [2]
    for answer, kind in zip(answers, kinds, strict=True):
        reply = yield from _ask(answer + b"\r\n", "AuthFailed")
        if reply.kind != kind:
            raise failed("AuthFailed", reply._replace(lines=(reply.text.replace(username, "…"),)))


def quit_session() -> Dialogue[None]:
    """Say goodbye. The server's answer changes nothing."""
    try:
        yield b"QUIT\r\n"
    except ConversationEnded:
        return


def failed(reason: str, reply: Reply) -> SessionFailed:
    """The failure that a reply stands for. After 421 nothing is said about what was asked."""
    reason = "ConnectFailed" if reply.code == CLOSING else reason
    return SessionFailed(Deferred(reason, reply.text, reply.code, reply.enhanced, systemic=True))


def _ask(command: bytes, reason: str) -> Dialogue[Reply]:
    try:
        return (yield command)
    except ConversationEnded as error:
        raise SessionFailed(Deferred(reason, f"{error.reason}: {error}", systemic=True)) from error
