"""A nats-server that asks who somebody is, over TLS or not, and credentials for each role of a runtime."""

import asyncio
import datetime
import ipaddress
import re
import shutil
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
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.jetstream.permissions import DEFAULT_PRODUCER, OUTSIDE, permissions, producer_suffix
from emailflow_api.plans import RuntimePlan
from emailflow_operator.adapters.kubernetes_api import path_of
from emailflow_operator.adapters.nats_keys import USER, credentials_file, new_key
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.installation_keys import AUTH_SECRET, decoded
from emailflow_operator.errors import NatsUnreachable
from emailflow_operator.reconcile.nats_claims import user_claims
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.provision import provision_streams
from emailflow_runtime.adapters.nats_server import find_binary
from emailflow_runtime.errors import Unavailable

WITHIN = 30
NAMES = Names("mail", "default")
OTHER = Names("shop", "default")
CHART = Path(__file__).parents[3] / "charts/emailflow/templates/nats/_config.tpl"
LINE = re.search(r"max_control_line: (\w+)", CHART.read_text())[1]  # type: ignore[index]
CONF = """
listen: "127.0.0.1:{port}"
max_control_line: {line}
max_payload: 8MB
jetstream {{ store_dir: "{folder}/js", sync_interval: always, max_file_store: 4GB }}
resolver {{ type: full, dir: "{folder}/accounts", allow_delete: true, interval: "2m" }}
include ./accounts.conf
{tls}
"""


class Kubernetes:
    """As much of the API server as the operator needs to keep its Secret."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}

    async def get(self, path: str) -> dict[str, Any] | None:
        return self.there.get(path)

    async def apply(self, value: dict[str, Any], **_: Any) -> dict[str, Any]:
        value = {**value, "metadata": {**value["metadata"], "uid": "uid-1"}}
        self.there[path_of(value)] = value
        return value


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
    """A nats-server that is handed accounts by the operator's own code, and users by role."""

    opens: tuple[Names, ...] = (NAMES, OTHER)

    def __init__(self, folder: Path, *, tls: bool) -> None:
        self.folder = folder
        self.ca = self_signed(folder) if tls else None
        self.servers = Servers()
        self.kubernetes = Kubernetes()
        self._process: asyncio.subprocess.Process | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.accounts = self._made_accounts()

    def _made_accounts(self) -> Accounts:
        api: Any = self.kubernetes
        made = Accounts(api, "emailflow", self.servers, url=self.url, share=512 << 20)
        made.authority = self.ca.read_text() if self.ca else ""
        return made

    @property
    def url(self) -> str:
        return f"{'tls' if self.ca else 'nats'}://127.0.0.1:{self.port}"

    @property
    def auth(self) -> dict[str, str]:
        """What the operator's Secret says."""
        (found,) = (each for path, each in self.kubernetes.there.items() if path.endswith(AUTH_SECRET))
        return decoded(found)

    async def start(self) -> None:
        await self.accounts.ensure()
        (self.folder / "accounts.conf").write_text(self.auth["accounts.conf"])
        tls = ""
        if self.ca:
            key = self.ca.with_suffix(".key")
            tls = f'tls {{ cert_file: "{self.ca}", key_file: "{key}" }}'
        conf = self.folder / "nats.conf"
        conf.write_text(CONF.format(port=self.port, line=LINE, folder=self.folder, tls=tls))
        await self.run(conf)
        for names in self.opens:
            await self.open(names)

    async def run(self, conf: Path) -> None:
        """Start nats-server with this configuration."""
        command = (find_binary(), "-c", str(conf), "-l", str(self.folder / "nats.log"))
        self._process = await asyncio.create_subprocess_exec(*command)

    async def open(self, names: Names) -> None:
        """Hand a runtime's accounts to the server, once it is up."""
        async with asyncio.timeout(WITHIN):
            while True:
                try:
                    owner = StreamOwner(names.namespace, names.name, "Retain")
                    return await self.accounts.set_account(owner, replicas=1)
                except NatsUnreachable:
                    await asyncio.sleep(0.1)

    async def stop(self) -> None:
        await self.servers.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def forget_keys(self) -> None:
        """As if somebody had deleted the operator's Secret: new keys, which vouch for nobody of before."""
        await self.stop()
        shutil.rmtree(self.folder / "accounts")
        self.kubernetes.there.clear()
        self.accounts = self._made_accounts()

    def renew_certificate(self) -> None:
        """Another certificate, by another CA, in the files of the old one."""
        if self.ca:
            self_signed(self.folder)
            self.accounts.authority = self.ca.read_text()

    async def credentials(
        self, role: Role, *, names: Names = NAMES, expires: int = 0, producer: str = DEFAULT_PRODUCER
    ) -> Credentials:
        """New credentials for a role; `expires` in seconds since 1970, 0: never."""
        keys, user = await self.accounts.keys(), new_key(USER)
        account = keys.outside(names) if role in OUTSIDE else keys.runtime(names)
        rights = permissions(names, role, producer=producer)
        claims = user_claims(account.own.public, account.signing.public, user.public, role, rights)
        if expires:
            claims["exp"] = expires
        file = self.folder / f"{names.prefix}_{role}_{producer}.creds"
        file.write_text(credentials_file(account.signing.sign(claims), user.seed))
        ca = str(self.ca) if self.ca else ""
        inbox = names.inbox(role, producer_suffix(producer) if role is Role.PRODUCER else "")
        return Credentials(self.url, file=str(file), ca=ca, inbox=inbox)

    async def connect(
        self, role: Role, *, names: Names = NAMES, producer: str = DEFAULT_PRODUCER
    ) -> Connection:
        """A connection of such a user, once the server is up."""
        credentials = await self.credentials(role, names=names, producer=producer)
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
    connection = await installation.connect(Role.OPERATOR)
    await provision(connection, NAMES)
    yield connection
    await connection.close()


async def provision(connection: Connection, names: Names) -> None:
    """The streams of a runtime without flows."""
    plan = RuntimePlan(namespace=names.namespace, name=names.name)
    await provision_streams(connection, plan, events_bytes=128 << 20)
