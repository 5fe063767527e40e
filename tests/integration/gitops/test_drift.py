"""What is applied stays as it is written: nothing is ever OutOfSync by itself, and files come in any order.

Every example and every manifest that a page shows, compared by Argo CD's own code in its three ways.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.integration.operator.conftest import until

from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.survey import Survey
from emailflow_operator.control.worker import Need
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import Options, World
from emailflow_operator.reconcile.children.settings import Image

from .conftest import MANAGER, Object, example_folders, manifests_of, placed, sources, text_of

SOURCES = sources()
EXAMPLES = example_folders()
PLURALS = {
    "EmailFlow": "emailflows",
    "EmailTemplate": "emailtemplates",
    "EmailProvider": "emailproviders",
    "EventType": "eventtypes",
    "ContactPolicy": "contactpolicies",
    "EmailRuntime": "emailruntimes",
}
CLIENT = ("apply",)
SERVER = ("apply", "--server-side", f"--field-manager={MANAGER}")
PASSES = 1000


def name_of(value: Object) -> tuple[str, str, str]:
    return value["metadata"]["namespace"], PLURALS[value["kind"]], value["metadata"]["name"]


async def live(api: Any, value: Object) -> Any:
    namespace, plural, name = name_of(value)
    return await api.get(f"/apis/emailflow.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}")


async def all_are_observed(api: Any, values: list[Object]) -> bool:
    """Whether the operator has said something about each object as it is."""
    for value in values:
        found = await live(api, value)
        if found.get("status", {}).get("observedGeneration") != found["metadata"]["generation"]:
            return False
    return True


async def unready(api: Any, values: list[Object]) -> list[Any]:
    """Those that are not Ready, with what they say."""
    found = []
    for value in values:
        status = (await live(api, value) or {}).get("status") or {}
        conditions = status.get("conditions") or [{}]
        if conditions[0].get("status") != "True":
            found.append((name_of(value), conditions))
    return found


async def versions(api: Any, values: list[Object]) -> dict[Any, str]:
    return {name_of(value): (await live(api, value))["metadata"]["resourceVersion"] for value in values}


def everywhere(namespaces: Any, nats_url: str) -> list[Object]:
    """All that people copy, each source in a namespace of its own."""
    return [value for values in SOURCES.values() for value in placed(values, namespaces.create(), nats_url)]


@pytest.fixture
async def world(api: Any, apiserver: Any) -> AsyncIterator[World]:
    """The operator's working parts without its watches: passes can be asked for, one after the other."""
    servers = Servers()
    options = Options(namespace="default", identity="test", image=Image("emailflow:test"), settle=0.0)
    yield World(options, api, servers, Accounts(api, "default", servers))
    await servers.close()


def test_every_page_with_a_manifest_and_every_example_is_compared() -> None:
    assert {"README.md", "docs/how-to/install.md", "examples/onboarding"} <= SOURCES.keys()
    assert {each["kind"] for values in SOURCES.values() for each in values} == PLURALS.keys()


@pytest.mark.parametrize("how", [CLIENT, SERVER], ids=["client-side", "server-side"])
async def test_what_is_applied_is_in_sync_and_a_second_apply_changes_nothing(
    how: tuple[str, ...],
    apiserver: Any,
    api: Any,
    argo_cd: Any,
    namespaces: Any,
    nats_server: Any,
    start_operator: Any,
) -> None:
    wanted = everywhere(namespaces, nats_server.url)
    watched = sorted({value["metadata"]["namespace"] for value in wanted})
    await start_operator(*(option for name in watched for option in ("--watch-namespace", name)))
    apiserver(*how, "--filename=-", manifests=text_of(wanted))
    assert await until(lambda: all_are_observed(api, wanted))

    assert argo_cd.differences(wanted) == []
    before = await versions(api, wanted)
    answer = apiserver(*how, "--filename=-", manifests=text_of(wanted))
    if how is CLIENT:
        assert [line for line in answer.splitlines() if not line.endswith(" unchanged")] == []
    assert await versions(api, wanted) == before


async def test_an_edit_in_the_cluster_is_out_of_sync(apiserver: Any, argo_cd: Any, namespace: str) -> None:
    """The comparison can fail: what nobody wrote into a manifest is found, in each way."""
    wanted = placed(SOURCES["README.md"], namespace, "nats://127.0.0.1:4222")
    flow = next(value for value in wanted if value["kind"] == "EmailFlow")
    apiserver(*SERVER, "--filename=-", manifests=text_of([flow]))
    name = flow["metadata"]["name"]
    steps = '{"spec": {"steps": [{"name": "other", "wait": {"for": "PT1H"}}]}}'
    apiserver("patch", "ef", name, f"--namespace={namespace}", "--type=merge", f"--patch={steps}")
    assert {each.way for each in argo_cd.differences([flow])} == {"Client", "Structured", "Server"}


@pytest.mark.parametrize("how", [CLIENT, SERVER], ids=["client-side", "server-side"])
@pytest.mark.parametrize("named", [False, True], ids=["suspend-left-out", "suspend-written"])
def test_an_action_is_out_of_sync_only_where_the_manifest_says_otherwise(
    named: bool, how: tuple[str, ...], apiserver: Any, argo_cd: Any, namespace: str
) -> None:
    flow = next(each for each in placed(SOURCES["README.md"], namespace, "") if each["kind"] == "EmailFlow")
    if named:
        flow["spec"]["suspend"] = False
    apiserver(*how, "--filename=-", manifests=text_of([flow]))
    name, option = flow["metadata"]["name"], f"--namespace={namespace}"
    live = json.loads(apiserver("get", "ef", name, option, "-o=json"))

    assert argo_cd.actions(live) == {"resume": False, "suspend": True}
    after = {"spec": {"suspend": argo_cd.after("suspend", live)["spec"]["suspend"]}}
    apiserver("patch", "ef", name, option, "--type=merge", f"--patch={json.dumps(after)}")
    ways = {each.way for each in argo_cd.differences([flow])}
    assert ways == ({"Client", "Structured", "Server"} if named else set())


@pytest.mark.slow
@pytest.mark.parametrize("how", [CLIENT, SERVER], ids=["client-side", "server-side"])
async def test_a_thousand_passes_of_the_operator_write_nothing_more(
    how: tuple[str, ...],
    apiserver: Any,
    api: Any,
    argo_cd: Any,
    namespace: str,
    nats_server: Any,
    world: World,
) -> None:
    wanted = placed(manifests_of(EXAMPLES[0]), namespace, nats_server.url)
    apiserver(*how, "--filename=-", manifests=text_of(wanted))
    world.options = Options(
        namespace=namespace, identity="test", image=Image("emailflow:test"), watched=(namespace,), settle=0.0
    )
    workers = Workers(world)
    survey = Survey(world, workers)
    await survey.first()
    workers.start()
    try:
        assert await until(lambda: all_are_observed(api, wanted))
        before, written = await versions(api, wanted), world.measures.status_writes
        passes = world.measures.passes
        for _ in range(PASSES):
            done = sum(passes.values())
            workers.mark_all(Need.RESYNC)
            while sum(passes.values()) == done:  # noqa: ASYNC110 - passes are counted, not announced
                await asyncio.sleep(0)
    finally:
        await workers.stop()
    assert passes["success"] >= PASSES
    assert world.measures.status_writes == written
    assert await versions(api, wanted) == before
    assert argo_cd.differences(wanted) == []


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
async def test_a_folder_applied_in_reverse_order_ends_ready_and_in_sync(
    folder: Any,
    api: Any,
    argo_cd: Any,
    space: Any,
    nats_server: Any,
    start_operator: Any,
    pod: Any,
    mail_port: int,
) -> None:
    wanted = placed(manifests_of(folder), space.name, nats_server.url, mail_port)
    await start_operator("--watch-namespace", space.name)
    for value in reversed(wanted):
        space.apply(text_of([value]))
    await pod.start()

    async def all_are_ready() -> bool:
        return not await unready(api, wanted)

    assert await until(all_are_ready), await unready(api, wanted)
    assert argo_cd.differences(wanted) == []
