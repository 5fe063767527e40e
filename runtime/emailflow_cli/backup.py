"""`emailflow backup`: the streams of one runtime into a folder, and back into NATS."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from emailflow_api.jetstream.naming import Names, Role

if TYPE_CHECKING:
    from emailflow_operator.adapters.nats_connection import NatsConnection, Server
    from emailflow_operator.adapters.servers import Servers
    from emailflow_operator.control.account import Accounts

Folder = Annotated[Path, typer.Argument(help="Where the backup is, or is to be.")]
Runtime = Annotated[str, typer.Option("--runtime", help="namespace/name.")]
Nats = Annotated[str, typer.Option(envvar="EMAILFLOW_NATS", help="The NATS that has its streams.")]
Keys = Annotated[
    Path | None,
    typer.Option(help="A folder with the Secret emailflow-nats-auth: for the NATS of an installation."),
]
Creds = Annotated[Path | None, typer.Option(help="A credentials file: for a NATS of your own.")]
Authority = Annotated[
    Path | None, typer.Option("--ca", help="Certificates to trust (PEM), where it speaks TLS.")
]
RuntimeBytes = Annotated[int, typer.Option(min=0, help="As the operator's: what all streams may take.")]
Replicas = Annotated[int, typer.Option(min=1, max=5, help="As spec.nats.replicas says.")]

backup = typer.Typer(help="Back up a runtime's streams, and put them back.", no_args_is_help=True)


@backup.command()
def take(
    folder: Folder,
    runtime: Runtime,
    nats: Nats,
    keys: Keys = None,
    creds: Creds = None,
    ca: Authority = None,
) -> None:
    """Copy all streams of a runtime into an empty folder. Its pods have to be away: replicas 0."""
    from emailflow_operator.adapters.backup_folder import BackupFolder
    from emailflow_operator.control import backup as streams

    async def run() -> None:
        names = _names(runtime)
        async with _reached(names, nats, keys, creds, ca) as way:
            for each in await streams.take(await way.connection(), names, BackupFolder(folder)):
                print(each)

    _run(run())


@backup.command()
def restore(
    folder: Folder,
    runtime: Runtime,
    nats: Nats,
    keys: Keys = None,
    creds: Creds = None,
    ca: Authority = None,
    runtime_bytes: RuntimeBytes = 0,
    replicas: Replicas = 1,
) -> None:
    """Put the streams of a backup where there are none. Apply the EmailRuntime afterwards."""
    from emailflow_api.jetstream.ownership import StreamOwner
    from emailflow_operator.adapters.backup_folder import BackupFolder
    from emailflow_operator.control import backup as streams

    async def run() -> None:
        names = _names(runtime)
        async with _reached(names, nats, keys, creds, ca, runtime_bytes) as way:
            if way.accounts is not None and not await way.accounts.is_open(names):
                await way.accounts.set_account(StreamOwner(*names), replicas=replicas, is_open=False)
            for each in await streams.put_back(await way.connection(), names, BackupFolder(folder)):
                print(each)

    _run(run())


def _names(runtime: str) -> Names:
    namespace, slash, name = runtime.partition("/")
    if not (slash and namespace and name):
        raise typer.BadParameter("--runtime: expected namespace/name")
    return Names(namespace, name)


class _Secret:
    """The Secret in a folder, in the place of the API server; nothing is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, _: str) -> dict[str, Any]:
        files = (each for each in sorted(self._folder.iterdir()) if each.is_file())
        data = {each.name: base64.b64encode(each.read_bytes()).decode() for each in files}
        return {"metadata": {"uid": ""}, "data": data}

    async def apply(self, *_: Any, **__: Any) -> Any:
        from emailflow_operator.errors import InvalidCredentials

        raise InvalidCredentials(f"{self._folder}: expected the Secret emailflow-nats-auth of this version")


class _Way(NamedTuple):
    """Into a runtime's account; `accounts` of an installation's NATS, None: a NATS of one's own."""

    servers: "Servers"
    accounts: "Accounts | None"
    names: Names
    server: "Server | None"

    async def connection(self) -> "NatsConnection":
        """With the rights to copy streams."""
        server = self.server
        if self.accounts is not None:
            server = await self.accounts.server(self.names, Role.BACKUP)
        assert server is not None  # noqa: S101 - one of the two is there
        return await self.servers.connection(server)


@asynccontextmanager
async def _reached(
    names: Names, nats: str, keys: Path | None, creds: Path | None, ca: Path | None, share: int = 0
) -> AsyncIterator[_Way]:
    from emailflow_operator.adapters.nats_connection import Server
    from emailflow_operator.adapters.servers import Servers
    from emailflow_operator.control.account import Accounts

    if (keys is None) == (creds is None):
        raise typer.BadParameter("expected either --keys or --creds")
    authority, servers = _text(ca), Servers()
    accounts, server = None, None
    if keys is not None:
        secret: Any = _Secret(keys)
        accounts = Accounts(secret, "", servers, url=nats, share=share)
        accounts.authority = authority
    elif creds is not None:
        server = Server(nats, _text(creds), authority, names.inbox(Role.BACKUP))
    try:
        yield _Way(servers, accounts, names, server)
    finally:
        await servers.close()


def _text(file: Path | None) -> str:
    return file.read_text() if file else ""


def _run(work: Coroutine[Any, Any, None]) -> None:
    from emailflow_operator.errors import OperatorError

    try:
        asyncio.run(work)
    except OperatorError as error:
        print(f"error: {error} [{error.reason}]", file=sys.stderr)
        raise typer.Exit(1) from None
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
