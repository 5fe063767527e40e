"""`emailflow dev PATH`: the whole data plane on this machine."""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from emailflow_api.errors import Finding
from emailflow_cli.findings import print_findings
from emailflow_runtime.adapters.log_format import LogFormat, set_up

Port = Annotated[int, typer.Option(min=0, max=65535)]


def dev(
    path: Annotated[Path, typer.Argument(exists=True, help="A folder of manifests, or one file.")],
    http_port: Annotated[
        int, typer.Option("--http-port", "--http", min=0, max=65535, help="HTTP; 0 picks a free port.")
    ] = 8080,
    smtp_port: Annotated[
        int, typer.Option("--smtp-port", "--smtp", min=0, max=65535, help="SMTP in; 0 picks a free port.")
    ] = 1025,
    nats_port: Annotated[
        int, typer.Option("--nats-port", "--nats", min=0, max=65535, help="NATS; 0 picks a free port.")
    ] = 4222,
    state: Annotated[
        Path | None, typer.Option(help="Where state lives; PATH/.emailflow when not given.")
    ] = None,
    ports_file: Annotated[
        Path | None, typer.Option(help='Write {"http":…,"smtp":…,"nats":…} here when ready.')
    ] = None,
    tokens_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Bearer tokens that are asked for; else none."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.TEXT,
) -> None:
    """Run everything on this machine: events in over HTTP, mails caught in an inbox.

    Watches PATH: saving a manifest is applying it. State survives a restart.
    """
    import uvloop

    from emailflow_runtime.errors import EmailFlowError
    from emailflow_runtime.wiring.laptop import LaptopOptions

    set_up(logging.INFO if verbose else logging.WARNING, log_format)
    base = path if path.is_dir() else path.parent
    options = LaptopOptions(
        path=path,
        state=state or base / ".emailflow",
        http_port=http_port,
        smtp_port=smtp_port,
        nats_port=nats_port,
        ports_file=ports_file,
        tokens_file=tokens_file,
    )
    try:
        code = uvloop.run(_serve(options))
    except EmailFlowError as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr)
        code = 1
    raise typer.Exit(code)


async def _serve(options: object) -> int:
    """Run until a signal asks to end."""
    from emailflow_runtime.wiring.collector import spare
    from emailflow_runtime.wiring.laptop import Laptop, LaptopOptions

    assert isinstance(options, LaptopOptions)  # noqa: S101 - imported late, so the annotation can't say it
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, asked.set)
    spare()
    async with Laptop(options, _report).running() as ports:
        print(f"inbox   http://127.0.0.1:{ports.http}/")
        print(f"events  http://127.0.0.1:{ports.http}/events   (CloudEvents: binary, structured, batched)")
        print(f"smtp    127.0.0.1:{ports.smtp}")
        print(f"nats    nats://127.0.0.1:{ports.nats}", flush=True)
        await asked.wait()
    return 0


def _report(findings: list[Finding]) -> None:
    print_findings(findings)
