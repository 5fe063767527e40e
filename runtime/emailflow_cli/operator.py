"""`emailflow operator`: watches a cluster's resources and makes JetStream and Kubernetes equal to them."""

import asyncio
import logging
import re
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

Home = Annotated[str, typer.Option(envvar="POD_NAMESPACE", help="Its own namespace: Lease and Secrets.")]
Image = Annotated[str, typer.Option(envvar="EMAILFLOW_IMAGE", help="The image of runtime pods.")]
Identity = Annotated[
    str, typer.Option(envvar="POD_NAME", help="Its name among the replicas; else the host's.")
]
PullPolicy = Annotated[str, typer.Option(help="Of runtime pods; Kubernetes' default when empty.")]
PullSecrets = Annotated[list[str] | None, typer.Option(help="Of runtime pods; may be repeated.")]
Environment = Annotated[
    list[str] | None,
    typer.Option(help="OTEL_…=VALUE: an environment variable of runtime pods; may be repeated."),
]
Watched = Annotated[
    list[str] | None, typer.Option(help="Serve this namespace only; may be repeated. Else the whole cluster.")
]
NatsUrl = Annotated[str, typer.Option(help="The NATS that was installed with the operator, if any.")]
EventsBytes = Annotated[
    int, typer.Option(min=128 << 20, help="Disk for the log of each runtime; less where NATS has less.")
]
RuntimeBytes = Annotated[
    int, typer.Option(min=0, help="Disk of that NATS for all streams of each runtime; 0: a quarter of it.")
]
NatsTls = Annotated[bool, typer.Option("--nats-tls", help="Clients of that NATS speak TLS.")]
NatsNames = Annotated[
    list[str] | None,
    typer.Option(
        "--nats-certificate-name",
        help="Make certificates of that NATS for this name; may be repeated.",
    ),
]
Resync = Annotated[float, typer.Option(min=1, help="Seconds until everything is looked at again.")]
AdminPort = Annotated[int, typer.Option(min=0, max=65535, help="/healthz, /readyz, /metrics.")]
WebhookPort = Annotated[int, typer.Option(min=0, max=65535, help="Admission over HTTPS.")]
Service = Annotated[str, typer.Option(help="The Service that leads to the webhooks; empty: no admission.")]
Certificates = Annotated[
    str,
    typer.Option(help="`self`: made and rotated by the operator; else a folder with tls.crt and tls.key."),
]
ClientCa = Annotated[
    Path | None,
    typer.Option(help="Answer only who has a client certificate that one of these (PEM) has signed."),
]
PortsFile = Annotated[Path | None, typer.Option(help='Write {"admin":…} here once it listens.')]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")]


def operator(
    namespace: Home,
    image: Image,
    identity: Identity = "",
    image_pull_policy: PullPolicy = "",
    image_pull_secret: PullSecrets = None,
    runtime_env: Environment = None,
    watch_namespace: Watched = None,
    nats_url: NatsUrl = "",
    events_bytes: EventsBytes = 2 << 30,
    runtime_bytes: RuntimeBytes = 0,
    nats_certificate_name: NatsNames = None,
    nats_tls: NatsTls = False,
    resync: Resync = 30,
    admin_port: AdminPort = 8081,
    webhook_port: WebhookPort = 9443,
    webhook_service: Service = "",
    certificates: Certificates = "self",
    client_ca: ClientCa = None,
    ports_file: PortsFile = None,
    verbose: Verbose = False,
) -> None:
    """Make JetStream and Kubernetes equal to the resources of this API.

    Several replicas may run: the one that holds the Lease works.
    """
    from emailflow_operator.control.world import Options
    from emailflow_operator.reconcile.children.settings import Image as PodImage

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.INFO if verbose else logging.WARNING)
    options = Options(
        namespace=namespace,
        identity=identity or socket.gethostname(),
        image=PodImage(
            image, image_pull_policy, tuple(image_pull_secret or ()), _variables(runtime_env or ())
        ),
        watched=tuple(watch_namespace or ()),
        nats_url=nats_url,
        events_bytes=events_bytes,
        runtime_bytes=runtime_bytes,
        nats_names=tuple(nats_certificate_name or ()),
        nats_tls=nats_tls,
        resync=resync,
        admin_port=admin_port,
        webhook_port=webhook_port,
        webhook_service=webhook_service,
        certificates=certificates,
        client_ca=client_ca,
        ports_file=ports_file,
    )
    _run(options)


def _variables(said: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Names and values, in order. Raises typer.BadParameter."""
    found = {}
    for each in said:
        name, separator, value = each.partition("=")
        if not separator or not re.fullmatch("OTEL_[A-Z0-9_]{1,200}", name):
            raise typer.BadParameter(f"--runtime-env: expected OTEL_…=VALUE, got the name {name[:50]!r}")
        found[name] = value
    return tuple(sorted(found.items()))


def _run(options: Any) -> None:
    """Run until a signal asks to end, or until another replica leads."""
    from emailflow_operator.adapters.kubernetes_access import find_access
    from emailflow_operator.errors import OperatorError
    from emailflow_operator.wiring.process import OperatorProcess

    stop = asyncio.Event()

    def take_signals() -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)

    try:
        asyncio.run(OperatorProcess(options, find_access(), take_signals).run(stop))
    except OperatorError as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr)
        raise typer.Exit(1) from None
