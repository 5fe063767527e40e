"""Resources in, streams, consumers, plans, children and statuses out; flows come, change and go."""

import base64
import json
import re
from typing import Any

import pytest

from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import content_hash
from emailflow_api.plans.entries import from_entries
from emailflow_api.reports import FlowReport, encode, key
from emailflow_operator.adapters.data_plane import DataPlane
from emailflow_operator.adapters.link_keys import ensure_keyring
from emailflow_operator.adapters.nats_connection import NatsConnection, checked
from emailflow_operator.adapters.together import together

from .conftest import FLOW, TEMPLATE, runtime, until

EDITED = FLOW.replace("[{name: hello,", "[{name: first, wait: {for: PT1H}}, {name: hello,")
EVENT_TYPE = """
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {name: signed-up}
spec: {type: com.example.signed_up}
"""
CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: f}
data: {b: Hello}
"""


class Reader:
    """What a runtime would do with PLANS and REPORTS."""

    def __init__(self, nats: NatsConnection, namespace: str) -> None:
        self._names = Names(namespace, "default")
        self._data = DataPlane(nats, self._names)
        self._nats = nats
        self._namespace = namespace

    async def plan(self, flow: str, namespace: str = "") -> Any:
        """The plan of a flow, None while there is none."""
        plans = from_entries(await self._data.read_plans())
        return plans and plans.flows.get(f"{namespace or self._namespace}/{flow}")

    async def revisions(self) -> set[str]:
        plans = from_entries(await self._data.read_plans())
        return set(plans.programs) if plans else set()

    async def report(self, flow: str, *, epoch: int = 0, **journeys: int) -> None:
        """Acknowledge the plan of a flow; `journeys` by revision, `now` is the current one."""
        plan = await until(lambda: self.plan(flow))
        counts = {plan.revision if name == "now" else name: count for name, count in journeys.items()}
        report = FlowReport(content_hash(plan), plan.revision, counts, epoch=epoch)
        await self._data.reports.put(key(0, plan.id), encode(report))

    async def claim(self) -> int:
        """Take the epoch, as an owner of the shard does."""
        answer = await self._nats.request(self._names.state_subjects(0).epoch, b"")
        return int(checked(answer)["seq"])

    async def consumer(self, flow: str) -> Any:
        return await self._nats.find(f"CONSUMER.INFO.{self._names.events}.{self._namespace}_{flow}")


@pytest.fixture
def reader(nats: NatsConnection, space: Any) -> Reader:
    return Reader(nats, space.name)


@pytest.fixture
async def operator(space: Any, nats_server: Any, start_operator: Any) -> Any:
    """An operator with a runtime that is Ready."""
    started = await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    return started


async def test_a_runtime_gets_its_children(space: Any, operator: Any) -> None:
    kinds = "deployment,service,configmap,serviceaccount,pdb,networkpolicy"
    children = space.kubectl("get", kinds, "-o=name", f"--namespace={space.name}")
    assert {
        "deployment.apps/emailruntime-default",
        "service/emailruntime-default",
        "service/admin-emailruntime-default",
        "configmap/emailruntime-default",
        "serviceaccount/emailruntime-default",
        "poddisruptionbudget.policy/emailruntime-default",
        "networkpolicy.networking.k8s.io/emailruntime-default",
    } <= set(children.split())
    scale = space.kubectl(
        "get", "--raw", f"/apis/emailflow.dev/v1alpha1/namespaces/{space.name}/emailruntimes/default/scale"
    )
    assert json.loads(scale)["status"]["selector"]


async def test_a_flow_is_ready_once_its_runtime_says_so(space: Any, operator: Any, reader: Reader) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await space.becomes("emailtemplates", "hello", ("True", "Succeeded"))
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    plan = await until(lambda: reader.plan("hello"))
    assert await reader.consumer("hello") is not None

    await reader.report("hello", now=3)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    status = (await space.get("emailflows", "hello"))["status"]
    assert (status["revision"], status["journeys"]) == (plan.revision, 3)


async def test_an_edit_keeps_what_journeys_are_on(space: Any, operator: Any, reader: Reader) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await reader.report("hello", now=1)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    first = (await reader.plan("hello")).revision

    space.apply(EDITED)
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    await reader.report("hello", **{first: 1})
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    assert (await reader.plan("hello")).earlier == (first,)

    await reader.report("hello", now=1)

    async def only_the_new_one() -> bool:
        plan = await reader.plan("hello")
        return plan.earlier == () and await reader.revisions() == {plan.revision}

    assert await until(only_the_new_one)
    assert await space.ready("emailflows", "hello") == ("True", "Succeeded")


async def test_a_deleted_flow_drains_and_goes(space: Any, operator: Any, reader: Reader) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await reader.report("hello", now=1)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    space.delete("ef", "hello")

    async def is_draining() -> bool:
        plan = await reader.plan("hello")
        return bool(plan and plan.deleted)

    assert await until(is_draining)
    assert await space.get("emailflows", "hello") is None
    await reader.report("hello", now=1)
    assert await reader.consumer("hello") is not None
    await reader.report("hello")

    async def is_gone() -> bool:
        return await reader.plan("hello") is None and await reader.consumer("hello") is None

    assert await until(is_gone)
    assert await reader.revisions() == set()


async def test_a_deleted_flow_stays_whatever_an_owner_before_says(
    space: Any, operator: Any, reader: Reader
) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    before = await reader.claim()
    await reader.report("hello", epoch=before, now=1)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    space.delete("ef", "hello")

    async def is_draining() -> bool:
        plan = await reader.plan("hello")
        return bool(plan and plan.deleted)

    assert await until(is_draining)
    owner = await reader.claim()
    await reader.report("hello", epoch=before)
    # Another change is made meanwhile: the report has been looked at by then.
    space.apply(FLOW.replace("{name: hello}", "{name: other}", 1))
    assert await until(lambda: reader.plan("other"))
    assert await is_draining()

    await reader.report("hello", epoch=owner)

    async def is_gone() -> bool:
        return await reader.plan("hello") is None

    assert await until(is_gone)


async def test_a_flow_that_comes_back_goes_on(space: Any, operator: Any, reader: Reader) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await reader.report("hello", now=1)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    before = await reader.plan("hello")
    made = (await reader.consumer("hello"))["created"]
    space.delete("ef", "hello")

    async def is_draining() -> bool:
        plan = await reader.plan("hello")
        return bool(plan and plan.deleted)

    assert await until(is_draining)
    space.apply(FLOW)

    async def is_back() -> bool:
        return not await is_draining()

    assert await until(is_back)
    await reader.report("hello", now=1)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    after = await reader.plan("hello")
    assert (after.deleted, after.revision) == (False, before.revision)
    assert (await reader.consumer("hello"))["created"] == made


async def test_a_missing_template_heals(space: Any, operator: Any, reader: Reader) -> None:
    space.apply(FLOW)
    await space.becomes("emailflows", "hello", ("False", "TemplateNotFound"))
    space.apply(TEMPLATE)
    await reader.report("hello")
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))


async def test_a_broken_edit_leaves_the_last_good_version_in_force(
    space: Any, operator: Any, reader: Reader
) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await reader.report("hello")
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    before = await reader.plan("hello")

    space.apply(FLOW.replace("types: [com.example.signed_up]", "types: [x], key: 'event.data.'"))
    await space.becomes("emailflows", "hello", ("False", "InvalidExpression"))
    status = (await space.get("emailflows", "hello"))["status"]
    assert {"Stalled"} <= {each["type"] for each in status["conditions"]}
    assert "last good version" in status["conditions"][0]["message"]
    assert await reader.plan("hello") == before


async def test_a_flow_of_another_namespace_needs_to_be_let_in(
    space: Any, namespaces: Any, operator: Any, reader: Reader, nats_server: Any, start_operator: Any
) -> None:
    await operator.stop()
    other = type(space)(space.kubectl, space.api, namespaces.create("mail=yes"))
    await start_operator()  # the whole cluster, with the labels of namespaces
    reference = f"runtimeRef: {{namespace: {space.name}, name: default}}\n  trigger:"
    other.apply(FLOW.replace("trigger:", reference) + "---" + TEMPLATE)
    await other.becomes("emailflows", "hello", ("False", "NotAllowed"))

    allowed = ", allowedNamespaces: {from: Selector, selector: {matchLabels: {mail: 'yes'}}}"
    space.apply(runtime(nats_server.url, allowed))
    await other.becomes("emailflows", "hello", ("False", "NotAReader"))
    contract = "spec: {type: com.example.signed_up, readers: {from: All}}\n"
    head = "apiVersion: emailflow.dev/v1alpha1\nkind: EventType\nmetadata: {name: signed-up}\n"
    space.apply(head + contract)
    await other.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    assert await reader.plan("hello", other.name) is not None

    space.kubectl("label", "namespace", other.name, "mail-")
    await other.becomes("emailflows", "hello", ("False", "NotAllowed"))
    assert (await reader.plan("hello", other.name)).deleted


async def test_what_others_change_or_delete_of_the_children_is_put_right(space: Any, operator: Any) -> None:
    there = f"--namespace={space.name}"
    space.kubectl("delete", "deployment", "emailruntime-default", there, "--wait=false", "--cascade=orphan")

    async def is_back() -> Any:
        return await space.api.get(f"/apis/apps/v1/namespaces/{space.name}/deployments/emailruntime-default")

    assert await until(is_back)
    space.kubectl("set", "image", "deployment/emailruntime-default", "runtime=somebody/elses:1", there)

    async def image() -> bool:
        found = await is_back()
        return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == "emailflow:test")

    assert await until(image)
    space.kubectl("annotate", "deployment/emailruntime-default", "team=shop", there)
    space.apply(EVENT_TYPE)
    await space.becomes("eventtypes", "signed-up", ("True", "Succeeded"))
    assert (await is_back())["metadata"]["annotations"]["team"] == "shop"


async def test_an_attached_file_and_a_template_body_may_be_config_maps(
    space: Any, operator: Any, reader: Reader
) -> None:
    body = 'markdown: "Hi **{{ event.data.name }}**"'
    space.apply(
        FLOW
        + "---"
        + TEMPLATE.replace(body, "bodyFrom: {configMapKeyRef: {name: f, key: b}, format: markdown}")
    )
    await space.becomes("emailtemplates", "hello", ("False", "ConfigMapNotFound"))
    space.apply(CONFIG_MAP)
    space.kubectl("annotate", "emailtemplate", "hello", "again=yes", f"--namespace={space.name}")
    await space.becomes("emailtemplates", "hello", ("True", "Succeeded"))


async def keyrings(space: Any) -> dict[str, str]:
    found = await space.api.get(f"/api/v1/namespaces/{space.name}/secrets/emailflow-keys")
    return found["data"] if found else {}


async def test_link_keys_are_made_once_and_never_changed(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    """Whoever makes them first wins: a person here, whose keys are beside those of another runtime."""
    space.kubectl(
        "create",
        "secret",
        "generic",
        "emailflow-keys",
        "--from-literal=default=mine",
        f"--namespace={space.name}",
    )
    options = ("--watch-namespace", space.name)
    first = await start_operator(*options)
    space.apply(
        runtime(nats_server.url) + "---" + runtime(nats_server.url).replace("name: default", "name: b")
    )
    for name in ("default", "b"):
        await space.becomes("emailruntimes", name, ("True", "Succeeded"))
    made = await keyrings(space)
    assert base64.b64decode(made["default"]) == b"mine"
    assert re.fullmatch(rb"\w+: [0-9a-f]{64}\n", base64.b64decode(made["b"]))

    await first.stop()
    await start_operator(*options)
    space.apply(EVENT_TYPE)
    await space.becomes("eventtypes", "signed-up", ("True", "Succeeded"))
    space.delete("er", "b")
    space.apply(runtime(nats_server.url).replace("name: default", "name: c"))
    await space.becomes("emailruntimes", "c", ("True", "Succeeded"))
    later = await keyrings(space)
    assert {name: later[name] for name in made} == made


async def test_two_who_make_link_keys_at_once_make_one(space: Any) -> None:
    await together(lambda _: ensure_keyring(space.api, space.name, "default"), range(10), limit=10)
    made = await keyrings(space)
    await ensure_keyring(space.api, space.name, "default")
    assert await keyrings(space) == made
    assert set(made) == {"default"}
