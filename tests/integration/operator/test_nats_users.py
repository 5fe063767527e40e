"""The NATS of an installation: keys made by the operator, users who can do their part and nothing else."""

import asyncio
import base64
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.jetstream.permissions import Permissions, permissions
from emailflow_operator.adapters.nats_connection import NatsConnection, Server, connect
from emailflow_operator.adapters.nats_keys import USER, claims_in, credentials_file, new_key
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.installation_keys import InstallationKeys
from emailflow_operator.errors import NatsUnreachable
from emailflow_operator.reconcile.nats_claims import user_claims
from emailflow_runtime.adapters.nats_server import find_binary

from .conftest import FLOW, TEMPLATE, until

CHART = Path(__file__).parents[3] / "charts/emailflow/templates/nats/_config.tpl"
NATS_CONF = """
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor}"
max_control_line: {line}
max_payload: 8MB
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 4GB }}
resolver {{ type: full, dir: "{store}/accounts", allow_delete: true, interval: "2m" }}
include ./accounts.conf
"""
RUNTIME = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {name: default}
spec: {replicas: 0, defaults: {providerRef: {name: smtp}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: smtp}
spec: {type: Smtp, smtp: {host: 127.0.0.1, port: 2525, tls: None}, from: {address: shop@example.com}}
"""


def accounts_of(space: Any, servers: Servers, home: str, port: int) -> Accounts:
    """The installation's accounts, with the keys that its operator made."""
    return Accounts(space.api, home, servers, url=f"nats://127.0.0.1:{port}", share=128 << 20)


LINE = re.search(r"max_control_line: (\w+)", CHART.read_text())[1]  # type: ignore[index]


@pytest.fixture
def monitor_port() -> int:
    """Another port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def start_nats(
    tmp_path: Path, free_port: int, monitor_port: int
) -> AsyncIterator[Callable[[str], Any]]:
    """Starts a nats-server with an accounts.conf, as the chart's StatefulSet does."""
    running: list[asyncio.subprocess.Process] = []

    async def start(auth: str) -> None:
        (tmp_path / "accounts.conf").write_text(auth)
        conf = NATS_CONF.format(port=free_port, monitor=monitor_port, line=LINE, store=tmp_path / "js")
        (tmp_path / "nats.conf").write_text(conf)
        command = [find_binary(), "-c", str(tmp_path / "nats.conf"), "-l", str(tmp_path / "nats.log")]
        running.append(await asyncio.create_subprocess_exec(*command))

    yield start
    for each in running:
        each.terminate()
        await each.wait()


async def secret(space: Any, namespace: str, name: str) -> dict[str, str] | None:
    found = await space.api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    return found and {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


async def refused(connection: NatsConnection, subject: str) -> bool:
    """Whether nobody answers: nats-server drops what a user may not publish."""
    try:
        async with asyncio.timeout(0.5):
            await connection.request(subject, b"")
    except (TimeoutError, NatsUnreachable):
        return True
    return False


async def condition(space: Any, name: str, kind: str) -> Any:
    value = await space.get("emailruntimes", name)
    return next(each for each in value["status"]["conditions"] if each["type"] == kind)


def credentials(auth: dict[str, str], names: Names, rights: Permissions) -> str:
    """A new user in a runtime's account."""
    (own, signing), user = InstallationKeys(auth).runtime(names), new_key(USER)
    claims = user_claims(own.public, signing.public, user.public, "test", rights)
    return credentials_file(signing.sign(claims), user.seed)


async def test_an_installation_makes_its_own_keys_and_users(
    space: Any, start_operator: Any, start_nats: Any, free_port: int, tmp_path: Path
) -> None:
    url = f"nats://127.0.0.1:{free_port}"
    operator = await start_operator("--watch-namespace", space.name, "--nats-url", url)
    home = operator.home
    auth = await until(lambda: secret(space, home, "emailflow-nats-auth"))
    space.apply(RUNTIME + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailruntimes", "default", ("Unknown", "NatsUnreachable"))

    await start_nats(auth["accounts.conf"])
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))

    users = {}
    for which in ("runtime", "producer", "reader"):
        found = await secret(space, space.name, f"emailflow-nats-{which}")
        assert found is not None
        assert set(found) == {"default.creds"}
        users[which] = found["default.creds"]
    names = Names(space.name, "default")
    producer = await connect(Server(url, users["producer"], inbox_prefix=names.inbox(Role.PRODUCER)))
    try:
        answer = await producer.request(names.inbound_subject("com.example.signed_up"), b"{}")
        assert b'"stream"' in answer.data
        assert await refused(producer, f"$JS.API.STREAM.INFO.{names.events}")
        assert await refused(producer, names.event_subject(0, "com.example.signed_up"))
    finally:
        await producer.close()

    durable = await condition(space, "default", "Durable")
    assert (durable["status"], durable["reason"]) == ("True", "SyncAlways")

    seeds = [value for key, value in auth.items() if key != "auth.conf"] + list(users.values())
    said = operator.log.read_text() + space.kubectl("get", "er,ef,cm", "-A", "-o=yaml")
    assert not any(part in said for seed in seeds for part in seed.split() if len(part) > 50)


async def test_credentials_of_an_earlier_version_are_taken_out_of_their_secret(
    space: Any, installed: Any
) -> None:
    for name in ("default", "other"):
        data = {f"{name}.{role}.creds": "b2xk" for role in ("runtime", "producer")}
        labels = {"app.kubernetes.io/managed-by": "emailflow-operator"}
        metadata = {"name": "emailflow-nats", "namespace": space.name, "labels": labels}
        former = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
        await space.api.apply(former, manager=f"emailflow-operator-{name}")
    space.apply(RUNTIME)
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))

    left = await secret(space, space.name, "emailflow-nats")

    assert left == {"other.runtime.creds": "old", "other.producer.creds": "old"}


async def test_a_restart_keeps_keys_and_users(space: Any, start_operator: Any, free_port: int) -> None:
    options = ("--watch-namespace", space.name, "--nats-url", f"nats://127.0.0.1:{free_port}")
    first = await start_operator(*options)
    space.apply(RUNTIME)
    users = await until(lambda: secret(space, space.name, "emailflow-nats-reader"))
    auth = await secret(space, first.home, "emailflow-nats-auth")
    await first.stop()
    await start_operator(*options)
    space.kubectl("annotate", "er", "default", "touched=yes", f"--namespace={space.name}")

    async def leads() -> bool:
        lease = await space.api.get(
            f"/apis/coordination.k8s.io/v1/namespaces/{first.home}/leases/emailflow-operator"
        )
        return bool(lease["spec"]["holderIdentity"] == "operator-1")

    assert await until(leads)
    await space.becomes("emailruntimes", "default", ("Unknown", "NatsUnreachable"))
    assert await secret(space, space.name, "emailflow-nats-reader") == users
    assert await secret(space, first.home, "emailflow-nats-auth") == auth


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    """The test's own connections."""
    made = Servers()
    yield made
    await made.close()


@pytest.fixture
async def installed(space: Any, start_operator: Any, start_nats: Any, free_port: int) -> Any:
    """An operator with its NATS: the keys, and how to start another operator."""
    options = ["--watch-namespace", space.name, "--resync", "1", "--events-bytes", str(128 << 20)]
    options += ["--nats-url", f"nats://127.0.0.1:{free_port}"]
    operator = await start_operator(*options)
    auth = await until(lambda: secret(space, operator.home, "emailflow-nats-auth"))
    await start_nats(auth["accounts.conf"])
    return operator, auth, options


async def test_streams_of_a_runtime_that_was_deleted_while_nobody_looked_go_if_it_said_so(
    space: Any, servers: Servers, installed: Any, start_operator: Any, free_port: int
) -> None:
    operator, auth, options = installed
    doomed = RUNTIME.replace("replicas: 0", "replicas: 0, deletionPolicy: Delete, shards: 2")
    space.apply(doomed + "---" + RUNTIME.replace("name: default", "name: keeper"))
    for name in ("default", "keeper"):
        await space.becomes("emailruntimes", name, ("True", "Succeeded"))
    # Somebody else's, in the same NATS: a namespace that is not served.
    accounts = accounts_of(space, servers, operator.home, free_port)
    elsewhere = StreamOwner("elsewhere", "default", "Delete")
    await accounts.set_account(elsewhere, replicas=1)
    assert await operator.stop() == 0
    for name in ("default", "keeper"):
        space.kubectl("delete", "er", name, f"--namespace={space.name}")
    await start_operator(*options)
    keeper = StreamOwner(space.name, "keeper")

    async def are_gone() -> bool:
        return set(await accounts_of(space, servers, operator.home, free_port).owners()) == {
            keeper,
            elsewhere,
        }

    assert await until(are_gone)
    rights = Permissions(("$JS.API.STREAM.LIST",), ("_INBOX_operator.>",))
    user = credentials(auth, Names(space.name, "keeper"), rights)
    nats = await connect(Server(f"nats://127.0.0.1:{free_port}", user))
    names = {each["name"] for each in await nats.streams()}
    assert names >= {f"{space.name}_keeper_EVENTS", f"{space.name}_keeper_STATE_0"}
    await nats.close()


async def test_credentials_that_were_replaced_are_used_no_more(
    space: Any, servers: Servers, installed: Any, free_port: int, monitor_port: int
) -> None:
    operator, auth, _ = installed
    names = Names(space.name, "own")
    await accounts_of(space, servers, operator.home, free_port).set_account(StreamOwner(*names), replicas=1)
    rights = permissions(Names(space.name, "default"), Role.OPERATOR)
    users = [credentials(auth, names, rights) for _ in range(2)]

    def give(user: str) -> None:
        text = json.dumps(user)
        # Not in braces alone: kubectl takes what begins with one for JSON.
        space.apply(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: nats}}\nstringData: {{c: {text}}}\n")

    give(users[0])
    own = f'nats: {{url: "nats://127.0.0.1:{free_port}", credentialsSecretRef: {{name: nats, key: c}}}}'
    space.apply(RUNTIME.replace("replicas: 0", f"replicas: 0, {own}"))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    # No system account is asked for a NATS that an EmailRuntime names itself.
    assert (await condition(space, "default", "Durable"))["reason"] == "SyncUnknown"

    async def connected() -> set[str]:
        url = f"http://127.0.0.1:{monitor_port}/connz?auth=true"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            found = await answer.json()
        return {each.get("nkey") or each.get("authorized_user") for each in found["connections"]}

    first, second = (claims_in(user)["sub"] for user in users)
    assert first in await connected()
    give(users[1])

    async def only_the_second() -> bool:
        there = await connected()
        return second in there and first not in there

    assert await until(only_the_second), await connected()
