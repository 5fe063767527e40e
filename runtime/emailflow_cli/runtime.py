"""`emailflow runtime`: the data plane, as a pod runs it."""

import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from emailflow_api.pod_settings import SETTINGS_FILE
from emailflow_runtime.adapters.log_format import LogFormat, set_up


def runtime(
    settings: Annotated[Path, typer.Option(help="The settings that the operator wrote.")] = Path(
        SETTINGS_FILE
    ),
    host: Annotated[str, typer.Option(help="The address to listen on; else all of them.")] = "",
    ports_file: Annotated[
        Path | None, typer.Option(help='Write {"events":…,"admin":…} here once it listens.')
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.JSON,
) -> None:
    """Serve one EmailRuntime, until SIGTERM. Its streams and plans are made by the operator."""
    import msgspec
    import uvloop

    from emailflow_api.pod_settings import decode
    from emailflow_runtime.errors import EmailFlowError
    from emailflow_runtime.wiring.pod import PodOptions

    set_up(logging.INFO if verbose else logging.WARNING, log_format)
    try:
        read = decode(settings.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        print(f"error: {settings}: expected the settings of a runtime pod: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - a pod's own addresses
    failures: list[BaseException] = []
    try:
        uvloop.run(_serve(read, PodOptions(host or everywhere, ports_file)))
    except* EmailFlowError as errors:
        failures = _leaves(errors)
    for each in failures:
        print(f"error: {each} [{getattr(each, 'reason', '')}]", file=sys.stderr)
    if failures:
        raise typer.Exit(1)


async def _serve(settings: object, options: object) -> None:
    """Run until a signal asks to end."""
    from emailflow_api.pod_settings import PodSettings
    from emailflow_runtime.wiring.collector import spare
    from emailflow_runtime.wiring.pod import Pod, PodOptions

    assert isinstance(settings, PodSettings)  # noqa: S101 - imported late, so the annotation can't say it
    assert isinstance(options, PodOptions)  # noqa: S101
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, asked.set)
    spare()
    await Pod(settings, options).run(asked)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
