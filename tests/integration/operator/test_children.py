"""The operator changes and deletes what it has made, and nothing else: whatever is called like it."""

import json
from typing import Any

from emailflow_operator.reconcile.children.labels import metadata

from .conftest import runtime, until

SOMEBODY_ELSES: dict[str, tuple[str, dict[str, Any]]] = {
    "Service": ("v1", {"spec": {"ports": [{"name": "db", "port": 5432}], "selector": {"app": "db"}}}),
    "ServiceAccount": ("v1", {"automountServiceAccountToken": True}),
    "ConfigMap": ("v1", {"data": {"runtime.json": "mine"}}),
    "NetworkPolicy": ("networking.k8s.io/v1", {"spec": {"podSelector": {"matchLabels": {"app": "db"}}}}),
    "PodDisruptionBudget": ("policy/v1", {"spec": {"selector": {"matchLabels": {"app": "db"}}}}),
}
PLURALS = "deployments,services,configmaps,serviceaccounts,poddisruptionbudgets,networkpolicies"


def manifest(kind: str, name: str, **about: Any) -> dict[str, Any]:
    version, rest = SOMEBODY_ELSES[kind]
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **about}, **rest}


def said(space: Any, kind: str, name: str) -> Any:
    """The object without bookkeeping."""
    found = json.loads(space.kubectl("get", kind, name, f"--namespace={space.name}", "--output=json"))
    about = found["metadata"]
    kept = {key: about.get(key) for key in ("uid", "labels", "ownerReferences", "resourceVersion")}
    return {**found, "metadata": kept}


async def test_an_object_of_somebody_elses_is_left_alone_and_named(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    """Whatever a child is called, an object that was there before stays as it is, and no pod is made."""
    names = {kind: f"{kind.lower()}-taken" for kind in SOMEBODY_ELSES}
    for kind, name in names.items():
        space.apply(json.dumps(manifest(kind, f"emailruntime-{name}")))
        space.apply(runtime(nats_server.url).replace("{name: default}", f"{{name: {name}}}"))
    before = {kind: said(space, kind, f"emailruntime-{name}") for kind, name in names.items()}
    await start_operator("--watch-namespace", space.name)
    for kind, name in names.items():
        await space.becomes("emailruntimes", name, ("False", "ChildNotOurs"))
        assert said(space, kind, f"emailruntime-{name}") == before[kind]
        value = await space.get("emailruntimes", name)
        [ready] = [each for each in value["status"]["conditions"] if each["type"] == "Ready"]
        assert f"the {kind} {space.name}/emailruntime-{name}" in ready["message"]
    assert space.kubectl("get", "deployments", f"--namespace={space.name}", "--output=name") == ""

    for kind, name in names.items():
        space.delete(kind, f"emailruntime-{name}")
    for kind, name in names.items():
        await space.becomes("emailruntimes", name, ("True", "Succeeded"))
        assert said(space, kind, f"emailruntime-{name}")["metadata"]["ownerReferences"]


async def test_a_deleted_runtime_takes_nobody_elses_object_along(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    """The garbage collector goes by owners: an object that got one by mistake would be deleted with it."""
    space.apply(json.dumps(manifest("Service", "emailruntime-default")))
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url))
    await space.becomes("emailruntimes", "default", ("False", "ChildNotOurs"))
    assert said(space, "Service", "emailruntime-default")["metadata"]["ownerReferences"] is None


async def test_a_runtime_named_like_a_part_of_the_installation_touches_none_of_it(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    names, kinds = ("nats", "operator", "webhook"), ("Service", "ServiceAccount", "ConfigMap")
    objects = [(kind, f"emailflow-{name}") for kind in kinds for name in names]
    for kind, name in objects:
        space.apply(json.dumps(manifest(kind, name)))
    before = [said(space, *each) for each in objects]
    await start_operator("--watch-namespace", space.name)
    for name in names:
        space.apply(runtime(nats_server.url).replace("{name: default}", f"{{name: {name}}}"))
    for name in names:
        await space.becomes("emailruntimes", name, ("True", "Succeeded"))
    assert [said(space, *each) for each in objects] == before


async def test_children_of_earlier_names_go_once_the_new_pods_are_there_and_services_stay(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    space.apply(runtime(nats_server.url, ", replicas: 1").replace("replicas: 0, ", ""))
    owner = await space.get("emailruntimes", "default")
    make_earlier(space, owner)
    await start_operator("--watch-namespace", space.name)
    new = f"/apis/apps/v1/namespaces/{space.name}/deployments/emailruntime-default"
    live = await until(lambda: space.api.get(new))
    await space.becomes("emailruntimes", "default", ("False", "PodsNotReady"))
    assert earlier(space) == {
        "deployment.apps",
        "service",
        "configmap",
        "serviceaccount",
        "poddisruptionbudget.policy",
        "networkpolicy.networking.k8s.io",
    }

    status = {"observedGeneration": live["metadata"]["generation"], "replicas": 1}
    await space.api.merge_status(live, {"status": {**status, "readyReplicas": 1, "updatedReplicas": 1}})
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))

    async def only_the_service() -> bool:
        return earlier(space) == {"service"}

    assert await until(only_the_service)


async def test_an_object_of_an_earlier_name_that_is_somebody_elses_stays(
    space: Any, nats_server: Any, start_operator: Any
) -> None:
    space.apply(json.dumps(manifest("ConfigMap", "emailflow-default")))
    before = said(space, "ConfigMap", "emailflow-default")
    await start_operator("--watch-namespace", space.name)
    space.apply(runtime(nats_server.url))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    space.kubectl("annotate", "er", "default", "again=yes", f"--namespace={space.name}")
    assert said(space, "ConfigMap", "emailflow-default") == before


def make_earlier(space: Any, owner: dict[str, Any]) -> None:
    """What an earlier version made for the runtime."""
    about = metadata(owner, name="emailflow-default")
    labels = {
        "matchLabels": {"app.kubernetes.io/name": "emailflow-runtime", "emailflow.dev/runtime": "default"}
    }
    container = {"name": "runtime", "image": "emailflow:earlier"}
    template = {"metadata": {"labels": labels["matchLabels"]}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": labels, "template": template}
    objects = [{**manifest(kind, ""), "metadata": about} for kind in SOMEBODY_ELSES]
    objects.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": spec})
    space.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def earlier(space: Any) -> set[str]:
    """The kinds of which there is an object of the earlier name."""
    found = space.kubectl("get", PLURALS, f"--namespace={space.name}", "--output=name").split()
    return {each.partition("/")[0] for each in found if each.endswith("/emailflow-default")}
