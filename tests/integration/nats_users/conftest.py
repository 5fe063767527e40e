"""A nats-server that asks who somebody is, over TLS or not, and credentials for each role of a runtime."""

import asyncio
import datetime
import ipaddress
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.permissions import permissions
from emailflow_operator.adapters.nats_keys import ACCOUNT, OPERATOR, USER, credentials_file, new_key
from emailflow_operator.reconcile.nats_claims import (
    account_claims,
    auth_conf,
    export_to_producers,
    import_from_runtimes,
    operator_claims,
    system_claims,
    user_claims,
)
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.provision import provision_streams
from emailflow_runtime.adapters.nats_server import find_binary
from emailflow_runtime.errors import Unavailable

WITHIN = 30
NAMES = Names("mail", "default")
CONF = """
listen: "127.0.0.1:{port}"
max_control_line: 64KB
jetstream {{ store_dir: "{folder}/js", sync_interval: always, max_file_store: 4GB }}
include ./auth.conf
{tls}
"""


def self_signed(folder: Path, name: str = "nats") -> Path:
    """A certificate for 127.0.0.1 that is its own CA; its path. The key lies beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.crt"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


class Installation:
    """A nats-server with an account for runtimes and one for producers, and users by role."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        self.folder = folder
        self.ca = self_signed(folder) if tls else None
        self._account, self._signing = new_key(ACCOUNT), new_key(ACCOUNT)
        self._producers = new_key(ACCOUNT)
        self._process: asyncio.subprocess.Process | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'tls' if self.ca else 'nats'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        operator, system = new_key(OPERATOR), new_key(ACCOUNT)
        account, producers = self._account.public, self._producers.public
        claims = {
            account: account_claims(operator.public, account, self._signing.public),
            producers: account_claims(operator.public, producers, self._signing.public),
            system.public: system_claims(operator.public, system.public),
        }
        claims[account] = export_to_producers(claims[account])
        claims[producers] = import_from_runtimes(claims[producers], account)
        tokens = {name: operator.sign(claim) for name, claim in claims.items()}
        root = operator.sign(operator_claims(operator.public, system.public))
        (self.folder / "auth.conf").write_text(auth_conf(root, system.public, tokens))
        tls = ""
        if self.ca:
            key = self.ca.with_suffix(".key")
            tls = f'tls {{ cert_file: "{self.ca}", key_file: "{key}" }}'
        conf = self.folder / "nats.conf"
        conf.write_text(CONF.format(port=self.port, folder=self.folder, tls=tls))
        command = (find_binary(), "-c", str(conf), "-l", str(self.folder / "nats.log"))
        self._process = await asyncio.create_subprocess_exec(*command)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    def renew_certificate(self) -> None:
        """Another certificate, by another CA, in the files of the old one."""
        if self.ca:
            self_signed(self.folder)

    def credentials(self, role: Role, *, shards: int = 1, expires: int = 0) -> Credentials:
        """New credentials for a role; `expires` in seconds since 1970, 0: never."""
        user = new_key(USER)
        rights = permissions(NAMES, role, shards=shards)
        account = self._producers if role in {Role.PRODUCER, Role.SIDECAR} else self._account
        claims = user_claims(account.public, self._signing.public, user.public, role, rights)
        if expires:
            claims["exp"] = expires
        file = self.folder / f"{role}.creds"
        file.write_text(credentials_file(self._signing.sign(claims), user.seed))
        ca = str(self.ca) if self.ca else ""
        return Credentials(self.url, file=str(file), ca=ca, inbox=NAMES.inbox(role))

    async def connect(self, role: Role) -> Connection:
        """A connection of such a user, once the server is up."""
        credentials = self.credentials(role)
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    return await connect(credentials, f"test {role}")
                except Unavailable:
                    await asyncio.sleep(0.1)


@pytest.fixture(params=["plain", "tls"])
async def installation(request: Any, tmp_path: Path) -> AsyncIterator[Installation]:
    made = Installation(tmp_path, tls=request.param == "tls")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def operator(installation: Installation) -> AsyncIterator[Connection]:
    """The operator's user, who has made the streams."""
    from emailflow_api.plans import RuntimePlan

    connection = await installation.connect(Role.OPERATOR)
    await provision_streams(connection, RuntimePlan(namespace="mail", name="default"), events_bytes=256 << 20)
    yield connection
    await connection.close()
