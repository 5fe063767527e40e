"""`emailflow operator`: watches a cluster's resources and makes JetStream and Kubernetes equal to them."""

import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer


def operator(
    namespace: Annotated[
        str,
        typer.Option(envvar="POD_NAMESPACE", help="Where the operator itself lives: its Lease and Secrets."),
    ],
    image: Annotated[str, typer.Option(envvar="EMAILFLOW_IMAGE", help="The image of runtime pods.")],
    identity: Annotated[
        str, typer.Option(envvar="POD_NAME", help="Its name among the replicas; the host's when not given.")
    ] = "",
    image_pull_policy: Annotated[
        str, typer.Option(help="Of runtime pods; Kubernetes' default when empty.")
    ] = "",
    image_pull_secret: Annotated[
        list[str] | None, typer.Option(help="Of runtime pods; may be repeated.")
    ] = None,
    watch_namespace: Annotated[
        list[str] | None,
        typer.Option(help="Serve this namespace only; may be repeated. Else the whole cluster."),
    ] = None,
    nats_url: Annotated[
        str, typer.Option(help="The NATS that was installed with the operator, if any.")
    ] = "",
    events_bytes: Annotated[
        int, typer.Option(min=128 << 20, help="Disk for the log of each runtime; less where NATS has less.")
    ] = 2 << 30,
    resync: Annotated[float, typer.Option(min=1, help="Seconds until everything is looked at again.")] = 30,
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="/healthz, /readyz, /metrics.")] = 8081,
    webhook_port: Annotated[int, typer.Option(min=0, max=65535, help="Admission over HTTPS.")] = 9443,
    webhook_service: Annotated[
        str, typer.Option(help="The Service that leads to the webhooks; empty: no admission.")
    ] = "",
    certificates: Annotated[
        str,
        typer.Option(
            help="`self`: made and rotated by the operator; else a folder with tls.crt and tls.key."
        ),
    ] = "self",
    ports_file: Annotated[Path | None, typer.Option(help='Write {"admin":…} here once it listens.')] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Make JetStream and Kubernetes equal to the resources of this API.

    Several replicas may run: the one that holds the Lease works.
    """
    from emailflow_operator.adapters.kubernetes_access import find_access
    from emailflow_operator.control.world import Options
    from emailflow_operator.errors import OperatorError
    from emailflow_operator.reconcile.children.settings import Image
    from emailflow_operator.wiring.process import OperatorProcess

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(logging.INFO if verbose else logging.WARNING)
    options = Options(
        namespace=namespace,
        identity=identity or socket.gethostname(),
        image=Image(image, image_pull_policy, tuple(image_pull_secret or ())),
        watched=tuple(watch_namespace or ()),
        nats_url=nats_url,
        events_bytes=events_bytes,
        admin_port=admin_port,
        resync=resync,
        webhook_port=webhook_port,
        webhook_service=webhook_service,
        certificates=certificates,
        ports_file=ports_file,
    )
    stop = asyncio.Event()

    def take_signals() -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)

    try:
        asyncio.run(OperatorProcess(options, find_access(), take_signals).run(stop))
    except OperatorError as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr)
        raise typer.Exit(1) from None
