"""Real mail servers, and the transport that talks to them."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.smtp.conftest import Authority, authority, certify

from emailflow_api.plans import Smtp
from emailflow_runtime.adapters.smtp import SmtpTransport
from emailflow_runtime.app.ports import OutgoingMail
from emailflow_runtime.core.outcomes import Outcome

from .servers import EXIM, OPENSMTPD, POSTFIX, Kind, MailServer

__all__ = ["authority", "certify"]
ROOT = Path(__file__).resolve().parents[3]
Start = Callable[[Kind], MailServer]


@pytest.fixture(scope="session")
def layers() -> Path:
    """Where the servers are installed."""
    command = [sys.executable, str(ROOT / "build" / "mail_servers.py")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if answer.returncode == 3:
        pytest.skip(answer.stderr.strip().splitlines()[-1])
    assert answer.returncode == 0, answer.stderr
    return Path(answer.stdout.strip())


@pytest.fixture(scope="module")
def start(layers: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """`start(kind)`: a server of that kind, one for all tests that ask for it."""
    running: dict[Kind, MailServer] = {}

    def started(kind: Kind) -> MailServer:
        if kind not in running:
            folder = tmp_path_factory.mktemp(kind.package)
            # The servers' own users have to come to it.
            for each in (folder, *folder.parents[:2]):
                each.chmod(0o755)
            server = running[kind] = MailServer(kind, layers, folder, authority.chain)
            server.start()
        return running[kind]

    yield started
    for server in running.values():
        server.kill()


@pytest.fixture(params=[POSTFIX, EXIM, OPENSMTPD], ids=lambda kind: kind.package)
def server(request: pytest.FixtureRequest, start: Start) -> MailServer:
    """Each of the three in turn."""
    return start(request.param)


class Client:
    """Hands mails over to one server. `number` tells mails apart."""

    def __init__(self, transport: SmtpTransport) -> None:
        self.transport = transport

    async def send(
        self, message: bytes, *recipients: str, sender: str = "shop@shop.example", within: float = 20
    ) -> Outcome:
        now = asyncio.get_running_loop().time()
        mail = OutgoingMail("m1", sender, recipients or ("ana@example.com",), message)
        return await self.transport.hand_over(mail, start_by=now + within, give_up_at=now + within)


@pytest.fixture
async def client(authority: Authority):
    """`client(server, ...)`: with the plan's fields that matter to the test."""
    made: list[SmtpTransport] = []

    def connect(server: MailServer, *, password: str = "", concurrency: int = 4, **declared: str) -> Client:
        plan = Smtp(host="127.0.0.1", port=server.port, **{"tls": "None", **declared})
        transport = SmtpTransport(
            plan,
            password=password.encode() or None,
            ca=authority.pem,
            concurrency=concurrency,
            hello="client.example",
        )
        made.append(transport)
        return Client(transport)

    yield connect
    for each in made:
        await each.close()
