"""Servers that follow a script, one script for each connection, on both event loops; and certificates."""

import asyncio
import datetime
import ipaddress
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from emailflow_api.plans import Smtp
from emailflow_runtime.adapters.smtp import SmtpTransport
from emailflow_runtime.app.ports import OutgoingMail

MESSAGE = b"Subject: x\r\n\r\nHello\r\n"


def pytest_asyncio_loop_factories():
    """Everything here runs on both loops: they order writes, closing and TLS differently."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Conversation:
    """The server's end of one connection. `heard` are the commands, `messages` the messages."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.heard = []
        self.messages = []

    async def say(self, *lines):
        self.writer.write(b"".join(line.encode() + b"\r\n" for line in lines))
        await self.writer.drain()

    async def hear(self):
        """The next command; empty at the connection's end."""
        line = (await self.reader.readline()).decode().removesuffix("\r\n")
        if line:
            self.heard.append(line)
        return line

    async def hear_message(self):
        message = await self.reader.readuntil(b"\r\n.\r\n")
        self.messages.append(message.removesuffix(b".\r\n"))

    async def greet(self, *extensions):
        await self.say("220 mx.example")
        await self.introduce(*extensions)

    async def introduce(self, *extensions):
        await self.hear()
        *others, last = ["mx.example", *extensions]
        await self.say(*(f"250-{line}" for line in others), f"250 {last}")

    async def expect_message(self):
        """Everything up to DATA's 354."""
        while (await self.hear()) != "DATA":
            await self.say("250 ok")
        await self.say("354 go")

    async def serve(self):
        """Take mails until the client goes."""
        while command := await self.hear():
            if command == "DATA":
                await self.say("354 go")
                await self.hear_message()
            await self.say("221 bye" if command == "QUIT" else "250 ok")
            if command == "QUIT":
                return


@dataclass
class Server:
    """A server on a free port of loopback."""

    port: int
    conversations: list[Conversation]

    @property
    def heard(self):
        return [command for conversation in self.conversations for command in conversation.heard]

    @property
    def messages(self):
        return [message for conversation in self.conversations for message in conversation.messages]


@asynccontextmanager
async def _listening(scripts, context):
    conversations, tasks = [], set()

    async def connected(reader, writer):
        tasks.add(asyncio.current_task())
        conversation = Conversation(reader, writer)
        conversations.append(conversation)
        script = scripts[min(len(conversations), len(scripts)) - 1]
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            await script(conversation)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context, limit=2**26)
    try:
        yield Server(server.sockets[0].getsockname()[1], conversations)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


@pytest.fixture
async def listen():
    """`await listen(script, ...)`: each connection follows its script, later ones the last."""
    opened = []

    async def start(*scripts, context=None):
        opened.append(_listening(scripts, context))
        return await opened[-1].__aenter__()

    yield start
    for server in reversed(opened):
        await server.__aexit__(None, None, None)


@pytest.fixture
async def connect(listen):
    """`connect(server, ...)`: a transport to a server, closed before the server is."""
    made = []

    def transport(server, *, concurrency=2, password=None, ca=None, **declared):
        declared = {"host": "127.0.0.1", "port": server.port, "tls": "None"} | declared
        made.append(
            SmtpTransport(
                Smtp(**declared), password=password, ca=ca, concurrency=concurrency, hello="client.example"
            )
        )
        return made[-1]

    yield transport
    for each in made:
        await each.close()


@pytest.fixture
def hand_over():
    """`await hand_over(transport)`: a mail, and at most ten seconds for it."""

    async def one(transport, message=MESSAGE, within=10.0):
        now = asyncio.get_running_loop().time()
        mail = OutgoingMail("m1", "shop@example.com", ("ana@example.com",), message)
        return await transport.hand_over(mail, start_by=now + 5, give_up_at=now + within)

    return one


@dataclass
class Authority:
    """A CA of its own, and a server certificate from it."""

    pem: bytes
    context: ssl.SSLContext
    chain: bytes
    """Certificate and key, as a server reads them."""


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject, key, issuer, issuer_key, *extensions):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def certify(tmp_path_factory):
    """`certify(address)`: an authority, and a server context whose certificate is for that address."""

    def made(address):
        ca_key = ec.generate_private_key(ec.SECP256R1())
        # RSA: what every server can serve.
        key = rsa.generate_private_key(65537, 2048)
        ca = _certificate("ca", ca_key, "ca", ca_key, x509.BasicConstraints(ca=True, path_length=None))
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        chain = tmp_path_factory.mktemp("tls") / "chain.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + _certificate("server", key, "ca", ca_key, names)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return Authority(ca, context, chain.read_bytes())

    return made


@pytest.fixture(scope="session")
def authority(certify):
    return certify("127.0.0.1")
