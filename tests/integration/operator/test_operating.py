"""What holds whatever happens to operator, NATS or objects: no writes at rest, no traces, take-over."""

import json
import re
from typing import Any

import pytest

from emailflow_operator.adapters.nats_connection import Server, connect

from .conftest import FLOW, TEMPLATE, OperatorProcess, runtime, until

WRITES = re.compile(
    r'^apiserver_request_total\{(.*verb="(?:APPLY|PATCH|POST|PUT|DELETE)".*)\} (\d+)', re.MULTILINE
)
LEASES = "/apis/coordination.k8s.io/v1/namespaces"


def writes(space: Any) -> dict[str, str]:
    """How often the API server was asked to write what, but for Leases."""
    metrics = space.kubectl("get", "--raw", "/metrics")
    return {what: count for what, count in WRITES.findall(metrics) if 'resource="leases"' not in what}


async def holder(space: Any, operator: OperatorProcess) -> str:
    lease = await space.api.get(f"{LEASES}/{operator.home}/leases/emailflow-operator")
    return str(lease["spec"].get("holderIdentity")) if lease else ""


async def passes(operator: OperatorProcess) -> int:
    """How many passes its workers have made without an error."""
    _, text = await operator.get("/metrics")
    found = re.search(r'reconcile_total\{result="success"\} (\d+)', text)
    return int(found[1]) if found else 0


async def test_a_second_reconcile_writes_nothing(
    space: Any, nats: Any, nats_server: Any, start_operator: Any
) -> None:
    operator = await start_operator("--watch-namespace", space.name, "--resync", "1")
    space.apply(runtime(nats_server.url) + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    done = await passes(operator)

    async def passed_again(count: int) -> bool:
        return await passes(operator) >= count

    assert await until(lambda: passed_again(done + 2))
    before, plans = writes(space), await nats.api(f"STREAM.INFO.KV_{space.name}_default_PLANS")
    assert await until(lambda: passed_again(done + 5))
    assert writes(space) == before
    after = await nats.api(f"STREAM.INFO.KV_{space.name}_default_PLANS")
    assert after["state"]["last_seq"] == plans["state"]["last_seq"]


async def test_a_restarted_operator_writes_nothing_either(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    options = ("--watch-namespace", space.name, "--resync", "1")
    first = await start_operator(*options)
    space.apply(runtime(nats_server.url) + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    assert await first.stop() == 0
    before = writes(space)
    second = await start_operator(*options)
    assert await until(lambda: passes(second))
    assert writes(space) == before


async def test_no_object_carries_a_trace_of_the_framework(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url) + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    kinds = "er,ef,et,epr,deployment,service,configmap"
    for each in json.loads(space.kubectl("get", kinds, "-o=json", f"--namespace={space.name}"))["items"]:
        metadata = each["metadata"]
        assert "finalizers" not in metadata, metadata
        foreign = [key for key in metadata.get("annotations", {}) if "kopf" in key or "zalando" in key]
        assert foreign == []


async def test_a_transition_is_told_once(space: Any, nats_server: Any, start_operator: Any) -> None:
    operator = await start_operator("--watch-namespace", space.name, "--resync", "1")
    space.apply(runtime(nats_server.url) + "---" + FLOW)
    await space.becomes("emailflows", "hello", ("False", "TemplateNotFound"))

    async def told() -> list[tuple[str, str, str]]:
        events = json.loads(space.kubectl("get", "events", "-o=json", f"--namespace={space.name}"))["items"]
        found = [each for each in events if each["involvedObject"]["kind"] == "EmailFlow"]
        return [(each["type"], each["reason"], each["reportingComponent"]) for each in found]

    assert await until(told)
    done = await passes(operator)

    async def passed_again() -> bool:
        return await passes(operator) >= done + 3

    assert await until(passed_again)
    assert await told() == [("Warning", "TemplateNotFound", "emailflow.dev/operator")]


async def test_objects_go_at_once_while_nats_is_down(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url) + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    await nats_server.stop()
    await space.becomes("emailflows", "hello", ("Unknown", "NatsUnreachable"))
    space.kubectl("delete", "er,ef,et,epr", "--all", f"--namespace={space.name}", "--timeout=5s")


async def test_nats_that_comes_back_is_used_again(space: Any, nats_server: Any, start_operator: Any) -> None:
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await nats_server.stop()
    await space.becomes("emailruntimes", "default", ("Unknown", "NatsUnreachable"))
    await nats_server.start()
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))


async def test_a_peer_takes_over_from_a_killed_leader(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    first = await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    second = await start_operator("--watch-namespace", space.name)

    async def stands_by() -> bool:
        return (await second.get("/readyz"))[0] == 200

    assert await until(stands_by)
    assert await holder(space, first) == first.name
    await first.kill()

    space.apply(FLOW)
    await space.becomes("emailflows", "hello", ("False", "TemplateNotFound"), within=20)
    assert await holder(space, first) == second.name


async def test_a_leader_that_is_asked_to_go_hands_over_at_once(space: Any, start_operator: Any) -> None:
    first = await start_operator("--watch-namespace", space.name)

    async def leads() -> bool:
        return await holder(space, first) == first.name

    assert await until(leads)
    second = await start_operator("--watch-namespace", space.name)
    assert await first.stop() == 0

    async def took_over() -> bool:
        return await holder(space, first) == second.name

    assert await until(took_over, within=8)


async def test_a_leader_whose_lease_is_taken_ends(space: Any, start_operator: Any) -> None:
    operator = await start_operator("--watch-namespace", space.name)

    async def leads() -> bool:
        return await holder(space, operator) == operator.name

    assert await until(leads)
    taken = '{"spec": {"holderIdentity": "somebody-else"}}'
    lease = ("lease", "emailflow-operator", f"--namespace={operator.home}")
    space.kubectl("patch", *lease, "--type=merge", f"--patch={taken}")

    async def ended() -> bool:
        return operator.process is not None and operator.process.returncode is not None

    assert await until(ended, within=15)
    assert await operator.stop() != 0


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_streams_outlive_their_runtime_unless_it_says_otherwise(
    space: Any, nats: Any, nats_server: Any, start_operator: Any, policy: str
) -> None:
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url, f", deletionPolicy: {policy}"))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    space.apply(FLOW)
    await space.becomes("emailflows", "hello", ("False", "TemplateNotFound"))
    space.delete("er", "default")
    await space.becomes("emailflows", "hello", ("False", "RuntimeNotFound"))

    async def is_gone() -> bool:
        return await nats.find(f"STREAM.INFO.{space.name}_default_EVENTS") is None

    assert await until(is_gone, within=10 if policy == "Delete" else 0) == (policy == "Delete")


async def test_admission_is_served_by_those_who_stand_by_too(space: Any, start_operator: Any) -> None:
    options = ("--watch-namespace", space.name, "--webhook-service", "webhook", "--webhook-port", "0")
    operators = [await start_operator(*options), await start_operator(*options)]
    for each in operators:

        async def admits(asked: OperatorProcess = each) -> bool:
            return (await asked.get("/readyz"))[0] == 200

        assert await until(admits)
    secret = f"/api/v1/namespaces/{operators[0].home}/secrets/emailflow-webhook-tls"
    assert await space.api.get(secret) is not None


async def test_a_lease_that_the_chart_made_is_empty_at_first(space: Any, start_operator: Any) -> None:
    """The chart installs one without a holder, so that uninstalling takes it along."""
    first = await start_operator("--watch-namespace", space.name)

    async def leads(name: str) -> bool:
        return await holder(space, first) == name

    assert await until(lambda: leads(first.name))
    await first.kill()
    space.kubectl("delete", "lease", "emailflow-operator", f"--namespace={first.home}")
    metadata = {"name": "emailflow-operator", "namespace": first.home}
    empty = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
    await space.api.create(f"{LEASES}/{first.home}/leases", empty)
    second = await start_operator("--watch-namespace", space.name)
    assert await until(lambda: leads(second.name))


async def test_streams_that_could_not_be_deleted_are_deleted_when_nats_is_back(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url, ", deletionPolicy: Delete"))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await nats_server.stop()
    space.delete("er", "default")
    await space.becomes("emailproviders", "smtp", ("False", "RuntimeNotFound"))
    await nats_server.start()
    nats = await connect(Server(nats_server.url))

    async def is_gone() -> bool:
        return await nats.find(f"STREAM.INFO.{space.name}_default_EVENTS") is None

    assert await until(is_gone)
    await nats.close()


async def measured(operator: OperatorProcess, name: str) -> int:
    """One of its own measures."""
    _, text = await operator.get("/metrics")
    found = re.search(rf"^emailflow_operator_{name} (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


async def test_a_standby_follows_the_cluster_by_watches_of_its_own(space: Any, start_operator: Any) -> None:
    options = ("--watch-namespace", space.name, "--resync", "1")
    leader = await start_operator(*options)
    assert await until(lambda: measured(leader, "leader"))
    standby = await start_operator(*options)
    assert await until(lambda: measured(standby, "surveys_total"))
    known = await measured(standby, "objects")
    for number in range(9):
        space.apply(TEMPLATE.replace("name: hello", f"name: hello-{number}"))

    async def knows_all() -> bool:
        return await measured(standby, "objects") >= known + 9

    assert await until(knows_all)
    done = await measured(standby, "surveys_total")

    async def looked_again() -> bool:
        return await measured(standby, "surveys_total") >= done + 4

    assert await until(looked_again)
    assert await measured(standby, "watch_missed_total") == 0
    assert await measured(standby, "leader") == 0
    assert "missed" not in standby.log.read_text()
