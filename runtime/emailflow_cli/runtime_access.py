"""How commands reach a runtime's NATS: by options, by the environment, or by a pod's own settings."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from emailflow_api import pod_settings
from emailflow_api.jetstream.naming import Names, Role

if TYPE_CHECKING:
    from emailflow_runtime.adapters.jetstream.connection import Connection
    from emailflow_runtime.app.catalog import Catalog

NATS = "nats://127.0.0.1:4222"

Nats = Annotated[str, typer.Option(envvar="EMAILFLOW_NATS", help=f"NATS; else the pod's own, else {NATS}.")]
Creds = Annotated[str, typer.Option(envvar="EMAILFLOW_CREDS", help="A credentials file for NATS.")]
RuntimeName = Annotated[
    str,
    typer.Option("--runtime", envvar="EMAILFLOW_RUNTIME", help="namespace/name; else default/default."),
]


class Access(NamedTuple):
    """A runtime, and where its NATS is. `ca` and `creds` are paths, empty: none."""

    names: Names
    nats: str
    creds: str
    ca: str = ""


def access(nats: str, creds: str, runtime: str) -> Access:
    """What the options say, completed by the pod's settings where there are any. Raises BadParameter."""
    file = Path(os.environ.get("EMAILFLOW_SETTINGS", pod_settings.SETTINGS_FILE))
    if not nats and file.is_file():
        settings = pod_settings.decode(file.read_bytes())
        runtime = runtime or f"{settings.namespace}/{settings.name}"
        nats, creds, ca = settings.nats_url, creds or settings.nats_credentials, settings.nats_ca
    else:
        nats, ca = nats or NATS, ""
    namespace, slash, name = (runtime or "default/default").partition("/")
    if not (slash and namespace and name):
        raise typer.BadParameter("--runtime: expected namespace/name")
    return Access(Names(namespace, name), nats, creds, ca)


@asynccontextmanager
async def connected(to: Access) -> "AsyncIterator[Connection]":
    """A connection, closed at the end. Raises Unavailable."""
    from emailflow_runtime.adapters.jetstream.connection import Credentials, connect

    credentials = Credentials(to.nats, to.creds, to.ca, to.names.inbox(Role.RUNTIME))
    connection = await connect(credentials, "emailflow cli")
    try:
        yield connection
    finally:
        await connection.close()


async def read_catalog(connection: "Connection", names: Names) -> "Catalog":
    """The plans that the runtime works by. Raises Unavailable, also when it has none."""
    from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
    from emailflow_runtime.app.catalog import Catalog
    from emailflow_runtime.errors import Unavailable

    plans = await PlanBucket(connection, names.bucket("PLANS")).read()
    if plans is None:
        raise Unavailable(f"there is no runtime {names.namespace}/{names.name} on this NATS")
    return Catalog(plans)
