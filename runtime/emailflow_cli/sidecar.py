"""`emailflow sidecar`: events of one pod, taken on loopback and brought to a runtime's receiver."""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from emailflow_runtime.adapters.log_format import LogFormat, set_up

SMALLEST_SPOOL = 4 << 20


def sidecar(
    sink: Annotated[
        str, typer.Option(help="The runtime's receiver, such as http://emailruntime-default.mail.svc/events.")
    ],
    token: Annotated[
        Path | None, typer.Option(help="The file of the token to send; read again as it changes.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where apps send events; loopback only.")
    ] = 8790,
    health_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Where probes ask for /healthz; on all addresses.")
    ] = None,
    budget: Annotated[
        float, typer.Option(min=0.1, help="Seconds that an app waits for the runtime, without a spool.")
    ] = 5.0,
    spool: Annotated[
        Path | None, typer.Option(help="A folder: events are kept there before they are sent on.")
    ] = None,
    spool_bytes: Annotated[int, typer.Option(min=SMALLEST_SPOOL, help="How large the spool may become.")] = 50
    << 20,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds to drain the spool in when asked to end.")
    ] = 25.0,
    ports_file: Annotated[
        Path | None, typer.Option(help='Write {"events":…,"health":…} here when ready.')
    ] = None,
) -> None:
    """Take CloudEvents on loopback and bring them to a runtime's receiver.

    Answers 202 when the runtime has the event on disk, or with a spool as soon as this pod has.
    """
    import uvloop

    from emailflow_runtime.errors import EmailFlowError
    from emailflow_runtime.wiring.sidecar import SidecarOptions

    set_up(logging.WARNING, LogFormat.TEXT)
    options = SidecarOptions(
        sink=sink,
        token=token,
        port=port,
        health_port=health_port,
        budget=budget,
        spool=spool,
        spool_bytes=spool_bytes,
        grace=grace,
    )
    try:
        uvloop.run(_serve(options, ports_file))
    except EmailFlowError as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr)
        raise typer.Exit(1) from None


async def _serve(options: object, ports_file: Path | None) -> None:
    """Run until a signal asks to end."""
    import msgspec

    from emailflow_runtime.wiring.sidecar import Sidecar, SidecarOptions

    assert isinstance(options, SidecarOptions)  # noqa: S101 - imported late, so the annotation can't say it
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, asked.set)
    async with Sidecar(options).running() as ports:
        if ports_file is not None:
            # Written aside and moved, so that nobody reads half of it.
            aside = ports_file.with_name(f".{ports_file.name}")
            aside.write_bytes(msgspec.json.encode(ports))
            aside.replace(ports_file)
        print(f"events  http://localhost:{ports.events}/events", flush=True)
        await asked.wait()
