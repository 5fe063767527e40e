"""Resources in, streams, consumers, plans, children and statuses out."""

from typing import Any

from emailflow_api.jetstream.naming import Names
from emailflow_api.plans.entries import from_entries
from emailflow_operator.adapters.data_plane import DataPlane

from .conftest import FLOW, TEMPLATE, runtime, until


async def plans_in(nats: Any, namespace: str) -> Any:
    """The plans that runtimes would read."""
    return from_entries(dict(await DataPlane(nats, Names(namespace, "default")).read_plans()))


async def test_a_runtime_gets_streams_plans_and_children(space, nats, nats_server, start_operator) -> None:
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))

    assert (await plans_in(nats, space.name)).runtime.name == "default"
    children = space.kubectl(
        "get",
        "deployment,service,configmap,serviceaccount,pdb,networkpolicy",
        "-o=name",
        f"--namespace={space.name}",
    )
    assert {
        "deployment.apps/emailflow-default",
        "service/emailflow-default",
        "service/admin-emailflow-default",
        "configmap/emailflow-default",
        "serviceaccount/emailflow-default",
        "poddisruptionbudget.policy/emailflow-default",
        "networkpolicy.networking.k8s.io/emailflow-default",
    } <= set(children.split())


async def test_a_flow_gets_a_consumer_and_waits_for_the_runtime(
    space, nats, nats_server, start_operator
) -> None:
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url) + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailtemplates", "hello", ("True", "Succeeded"))
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))

    async def plan() -> Any:
        plans = await plans_in(nats, space.name)
        return plans and plans.flows.get(f"{space.name}/hello")

    assert (await until(plan)).revision == (await space.get("emailflows", "hello"))["status"]["revision"]
    stream = Names(space.name, "default").events
    assert await nats.find(f"CONSUMER.INFO.{stream}.{space.name}_hello") is not None
