"""What all workers share: the picture of the cluster, the ways to write to it, the settings."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.compiler import Compiler
from emailflow_operator.control.credentials import Credentials
from emailflow_operator.control.measures import Measures
from emailflow_operator.control.moving import Moving
from emailflow_operator.reconcile.children.settings import Image, Issuer
from emailflow_operator.reconcile.cluster import Cluster


class Options(msgspec.Struct, frozen=True):
    """What the command line says. Seconds where a time is meant."""

    namespace: str
    identity: str
    image: Image
    watched: tuple[str, ...] = ()
    """Namespaces; none: the whole cluster."""
    nats_url: str = ""
    """Of the NATS that was installed with the operator; empty: there is none."""
    events_bytes: int = 2 << 30
    """Of disk for the log of each runtime."""
    runtime_bytes: int = 0
    """Of disk that a runtime may take of a server of that NATS; 0: a quarter of what it stores."""
    nats_names: tuple[str, ...] = ()
    """For which the operator makes certificates of that NATS; none: it makes none."""
    nats_tls: bool = False
    """Whether its clients speak TLS, and trust whom the operator made certificates by."""
    admin_port: int = 8081
    ports_file: Path | None = None
    webhook_port: int = 9443
    webhook_service: str = ""
    """The Service that leads to the webhooks; empty: no admission."""
    certificates: str = "self"
    """`self`, or a folder."""
    client_ca: Path | None = None
    """Whoever asks the webhooks must have a certificate that one of these has signed."""
    settle: float = 0.05
    """How long a worker waits for more changes."""
    resync: float = 30.0
    """How often everything is looked at again."""
    counts_every: float = 30.0
    """How often counts may move a status."""


class World:
    """One for the process."""

    def __init__(self, options: Options, api: KubernetesApi, servers: Servers, accounts: Accounts) -> None:
        self.options = options
        self.api = api
        self.servers = servers
        self.accounts = accounts
        """Of the installation's NATS."""
        self.credentials = Credentials(api, accounts)
        self.moving = Moving(accounts, servers)
        self.cluster = Cluster()
        self.issuer = Issuer()
        self.measures = Measures()
        self.monotonic: Callable[[], float] = time.monotonic
        self.compiler = Compiler(time.monotonic)


def now() -> str:
    """The time of conditions: RFC 3339, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251 - this is where time comes in
