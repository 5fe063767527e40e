"""The operator with no more rights than it is installed with: it does all that it has to, and nothing else.

What is refused here was not asked for by the operator, but by somebody who has taken it over: requests are
sent in its name.
"""

import copy
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.link_keys import ensure_keyring
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.credentials import Credentials
from emailflow_operator.control.installation_keys import AUTH_SECRET
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.children.manifests import children_of
from emailflow_operator.reconcile.children.settings import Image, Issuer

from .conftest import FLOW, TEMPLATE, Space, runtime, until
from .installed import ACCOUNT, HOME, IMAGE, install, token

ENVIRONMENT = (("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),)
Manifests = dict[str, dict[str, Any]]


@pytest.fixture
async def operator(apiserver: Any) -> AsyncIterator[KubernetesApi]:
    """A client in the operator's name."""
    install(apiserver)
    bearer = token(apiserver)
    access = Access(apiserver.server, apiserver.authority, credentials=lambda: f"Bearer {bearer}")
    async with KubernetesApi(access) as client:
        about = {"name": f"probe-{secrets.token_hex(4)}", "namespace": "default"}
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}

        async def is_judged() -> bool:
            try:
                await client.apply(probe)
            except KubernetesRefused:
                return True
            return False

        assert await until(is_judged)  # the API server takes policies up a moment after they are there
        yield client


@pytest.fixture
async def owner(space: Space, operator: KubernetesApi) -> dict[str, Any]:
    """An EmailRuntime that the policies know of."""
    space.apply(runtime("nats://n:4222"))
    value: dict[str, Any] = await space.get("emailruntimes", "default")
    probe = children(value)["ConfigMap"]

    async def is_known() -> bool:
        try:
            await operator.apply(probe, force=False)
        except KubernetesRefused:
            return False
        return True

    assert await until(is_known)
    return value


def children(owner: dict[str, Any]) -> Manifests:
    """What the operator makes for it, by kind; of its two Services the one for events."""
    issuer = Issuer("https://kubernetes.default.svc", "{}")
    more = {"nats_url": "nats://n:4222", "issuer": issuer, "minted": True}
    made = children_of(owner, None, image=Image(IMAGE, "IfNotPresent", ("registry",), ENVIRONMENT), **more)  # type: ignore[arg-type]
    return {each["kind"]: each for each in reversed(made)}


async def refusal(wanted: Awaitable[Any]) -> str:
    """Why the API server refuses it."""
    with pytest.raises(KubernetesRefused) as refused:
        await wanted
    assert refused.value.status in {403, 422}, refused.value
    return str(refused.value)


async def test_children_may_be_made_changed_and_those_of_earlier_names_deleted(
    operator: KubernetesApi, owner: dict[str, Any], space: Space
) -> None:
    for manifest in children(owner).values():
        made = await operator.apply(manifest, force=False)
        changed = copy.deepcopy(manifest)
        changed["metadata"] |= {
            "uid": made["metadata"]["uid"],
            "labels": {**made["metadata"]["labels"], "a": "b"},
        }
        await operator.apply(changed)
    earlier = children(owner)["ConfigMap"]
    earlier["metadata"]["name"] = "emailflow-default"
    space.apply(json.dumps(earlier))
    await operator.delete(
        await space.api.get(f"/api/v1/namespaces/{space.name}/configmaps/emailflow-default")
    )


async def test_secrets_of_an_installation_may_be_made_and_read(
    operator: KubernetesApi, owner: dict[str, Any], space: Space
) -> None:
    accounts = Accounts(operator, HOME, Servers())
    await accounts.ensure()
    credentials = Credentials(operator, accounts)
    await credentials.ensure(owner)
    await credentials.empty_former(owner)
    await ensure_keyring(operator, space.name, "default")
    for name in ("emailflow-webhook-tls", "emailflow-nats-tls"):
        tls = secret(name, HOME, {"tls.crt": "YQ==", "tls.key": "YQ=="}, "kubernetes.io/tls")
        await operator.apply(tls, manager="emailflow-certificates")


@pytest.fixture
def only_these_rights(apiserver: Any, kubeconfig: Path, operator: KubernetesApi) -> None:
    """Operators are started as the ServiceAccount."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"]["token"] = token(apiserver)
    kubeconfig.write_text(yaml.safe_dump(config))


async def test_a_runtime_becomes_ready_under_these_rights_alone(
    only_these_rights: None, space: Space, nats_server: Any, start_operator: Any
) -> None:
    """In all namespaces, as the defaults have it."""
    started = await start_operator("--namespace", HOME, "--image", IMAGE)
    space.apply(runtime(nats_server.url) + "---" + FLOW + "---" + TEMPLATE)
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await space.becomes("emailtemplates", "hello", ("True", "Succeeded"))
    await space.becomes("emailflows", "hello", ("Unknown", "Progressing"))
    log = started.log.read_text()
    assert "KubernetesRefused" not in log
    assert "forbidden" not in log


async def test_a_secret_that_spec_nats_names_is_read_by_those_who_were_let(
    only_these_rights: None, space: Space, nats_server: Any, start_operator: Any
) -> None:
    """By a Role of the namespace here; `rbac.natsSecretNames` of the chart gives the same everywhere."""
    space.apply(json.dumps(secret("nats", space.name, {"ca.crt": ""})))
    reference = "caSecretRef: {name: nats, key: ca.crt}"
    space.apply(runtime(nats_server.url).replace('"}, replicas', f'", {reference}}}, replicas'))
    await start_operator("--namespace", HOME, "--image", IMAGE)
    await space.becomes("emailruntimes", "default", ("False", "SecretForbidden"))
    value = await space.get("emailruntimes", "default")
    [ready] = [each for each in value["status"]["conditions"] if each["type"] == "Ready"]
    assert "spec.nats.caSecretRef" in ready["message"]
    assert "rbac.natsSecretNames" in ready["message"]

    there = f"--namespace={space.name}"
    role = ("--verb=get", "--resource=secrets", "--resource-name=nats")
    space.kubectl("create", "role", "emailflow-nats-secret", there, *role)
    subject = f"--serviceaccount={HOME}:{ACCOUNT}"
    space.kubectl(
        "create", "rolebinding", "emailflow-nats-secret", "--role=emailflow-nats-secret", subject, there
    )
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))


# --- what somebody else would do with these rights ------------------------------------------------------

Change = Callable[[Manifests], Any]


def pod(manifests: Manifests) -> dict[str, Any]:
    found: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return found


def container(manifests: Manifests) -> dict[str, Any]:
    found: dict[str, Any] = pod(manifests)["containers"][0]
    return found


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set a member, however deep."""

    def change(where: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for each in parents:
            where = where.setdefault(each, {})
        where[last] = value

    return change


OTHER = {"name": "other", "image": IMAGE, "args": ["runtime"]}
SCRIPT = {"exec": {"command": ["sh", "-c", "true"]}}
HOST = {"name": "host", "hostPath": {"path": "/"}}
TOKEN = {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
STARTUP = {"name": "tmp", "mountPath": "/opt/emailflow/lib/python3.11/site-packages"}
PODS: dict[str, Change] = {
    "another account": lambda it: put("serviceAccountName", "admin")(pod(it)),
    "a token": lambda it: put("automountServiceAccountToken", True)(pod(it)),
    "the host's network": lambda it: put("hostNetwork", True)(pod(it)),
    "the host's processes": lambda it: put("hostPID", True)(pod(it)),
    "the host's memory": lambda it: put("hostIPC", True)(pod(it)),
    "a node of its choice": lambda it: put("nodeName", "control-plane")(pod(it)),
    "a priority": lambda it: put("priorityClassName", "system-node-critical")(pod(it)),
    "the host's disk": lambda it: pod(it)["volumes"].append(HOST),
    "a token as a volume": lambda it: pod(it)["volumes"].append(TOKEN),
    "another image": lambda it: put("image", "evil/evil:1")(container(it)),
    "another tag": lambda it: put("image", "emailflow/emailflow:0.0.1")(container(it)),
    "an image of a longer name": lambda it: put("image", f"{IMAGE}-evil")(container(it)),
    "another program": lambda it: put("command", ["sh"])(container(it)),
    "another command": lambda it: put("args", ["operator"])(container(it)),
    "a folder of its choice": lambda it: put("workingDir", "/etc/emailflow/settings")(container(it)),
    "a program at the start": lambda it: put("lifecycle.postStart", SCRIPT)(container(it)),
    "a program at the end": lambda it: put("lifecycle.preStop", SCRIPT)(container(it)),
    "a program as a probe": lambda it: put("livenessProbe", SCRIPT)(container(it)),
    "an environment": lambda it: put("env", [{"name": "PYTHONPATH", "value": "/tmp"}])(container(it)),
    "an environment from elsewhere": lambda it: put("envFrom", [{"secretRef": {"name": "db"}}])(
        container(it)
    ),
    "code from a volume": lambda it: container(it)["volumeMounts"].append(STARTUP),
    "a file over a file": lambda it: put("subPath", "a")(container(it)["volumeMounts"][0]),
    "a way out of its folder": lambda it: put("mountPath", "/etc/emailflow/../x")(
        container(it)["volumeMounts"][0]
    ),
    "its home from a ConfigMap": lambda it: put("name", "settings")(
        next(each for each in container(it)["volumeMounts"] if each["mountPath"] == "/tmp")
    ),
    "root": lambda it: put("securityContext.runAsUser", 0)(container(it)),
    "root by the pod": lambda it: put("securityContext.runAsNonRoot", False)(pod(it)),
    "no word of what it may": lambda it: container(it).pop("securityContext"),
    "escalation": lambda it: put("securityContext.allowPrivilegeEscalation", True)(container(it)),
    "a capability": lambda it: put("securityContext.capabilities.add", ["SYS_ADMIN"])(container(it)),
    "a writable root": lambda it: put("securityContext.readOnlyRootFilesystem", False)(container(it)),
    "a port of the node": lambda it: put("hostPort", 8080)(container(it)["ports"][0]),
    "a second container": lambda it: pod(it)["containers"].append(OTHER),
    "an init container": lambda it: put("initContainers", [{**OTHER, "image": "evil:1"}])(pod(it)),
}
OBJECTS: dict[str, tuple[str, Change]] = {
    "a Service of the node": ("Service", lambda it: put("spec.type", "NodePort")(it["Service"])),
    "a Service for the world": ("Service", lambda it: put("spec.type", "LoadBalancer")(it["Service"])),
    "somebody else's address": (
        "Service",
        lambda it: put("spec.externalIPs", ["1.2.3.4"])(it["Service"]),
    ),
    "a Service before others' pods": (
        "Service",
        lambda it: put("spec.selector", {"app": "bank"})(it["Service"]),
    ),
    "an account with a token": (
        "ServiceAccount",
        lambda it: put("automountServiceAccountToken", True)(it["ServiceAccount"]),
    ),
    "an account with a cloud's role": (
        "ServiceAccount",
        lambda it: put("metadata.annotations", {"eks.amazonaws.com/role-arn": "admin"})(it["ServiceAccount"]),
    ),
    "code as settings": (
        "ConfigMap",
        lambda it: put("data", {"sitecustomize.py": "import os"})(it["ConfigMap"]),
    ),
    "others' traffic": (
        "NetworkPolicy",
        lambda it: put("spec.podSelector", {"matchLabels": {"app": "bank"}})(it["NetworkPolicy"]),
    ),
    "everybody's traffic": ("NetworkPolicy", lambda it: put("spec.podSelector", {})(it["NetworkPolicy"])),
    "others' evictions": (
        "PodDisruptionBudget",
        lambda it: put("spec.selector", {"matchLabels": {"app": "bank"}})(it["PodDisruptionBudget"]),
    ),
    "an object without the label": (
        "ConfigMap",
        lambda it: put("metadata.labels", {"app.kubernetes.io/part-of": "emailflow"})(it["ConfigMap"]),
    ),
    "an object without an owner": (
        "ConfigMap",
        lambda it: put("metadata.ownerReferences", [])(it["ConfigMap"]),
    ),
    "an object of another name": ("ConfigMap", lambda it: put("metadata.name", "coredns")(it["ConfigMap"])),
}


async def test_pods_can_not_be_made_to_do_anything_else(
    operator: KubernetesApi, owner: dict[str, Any]
) -> None:
    for what, change in PODS.items():
        manifests = copy.deepcopy(children(owner))
        change(manifests)
        why = await refusal(operator.apply(manifests["Deployment"]))
        assert "emailflow-operator-pods" in why, f"{what}: {why}"


async def test_nothing_else_can_be_made_of_the_children(
    operator: KubernetesApi, owner: dict[str, Any]
) -> None:
    for what, (kind, change) in OBJECTS.items():
        manifests = copy.deepcopy(children(owner))
        change(manifests)
        why = await refusal(operator.apply(manifests[kind]))
        assert "ValidatingAdmissionPolicy" in why, f"{what}: {why}"


async def test_objects_of_others_are_neither_changed_nor_deleted(
    operator: KubernetesApi, owner: dict[str, Any], space: Space
) -> None:
    manifests = children(owner)
    for kind in ("Service", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"):
        theirs = copy.deepcopy(manifests[kind])
        theirs["metadata"] = {"name": theirs["metadata"]["name"], "namespace": space.name}
        space.apply(json.dumps(theirs))
        assert "its own already" in await refusal(operator.apply(manifests[kind], force=False)), kind
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "emailflow-default"}}
    space.apply(json.dumps({**config_map, "data": {"a": "b"}}))
    theirs = await space.api.get(f"/api/v1/namespaces/{space.name}/configmaps/emailflow-default")
    assert "its own already" in await refusal(operator.delete(theirs))
    mine = await space.api.get(f"/api/v1/namespaces/{space.name}/configmaps/emailruntime-default")
    assert "earlier versions" in await refusal(operator.delete(mine))


async def test_nothing_is_written_where_no_runtime_is(
    operator: KubernetesApi, owner: dict[str, Any], namespaces: Any
) -> None:
    for namespace in (namespaces.create(), "default", "kube-system", "kube-public"):
        for kind, manifest in children(owner).items():
            manifest["metadata"]["namespace"] = namespace
            assert "emailflow-operator" in await refusal(operator.apply(manifest)), (kind, namespace)
    for namespace in ("kube-system", "kube-public", "kube-node-lease"):
        assert "emailflow-operator-secrets" in await refusal(ensure_keyring(operator, namespace, "default"))


def secret(name: str, namespace: str, data: dict[str, str], kind: str = "Opaque") -> dict[str, Any]:
    about = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "emailflow"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "type": kind, "data": data}


async def test_no_secret_is_read_or_written_but_by_name(
    operator: KubernetesApi, owner: dict[str, Any], space: Space
) -> None:
    there = f"/api/v1/namespaces/{space.name}/secrets"
    space.apply(json.dumps(secret("db", space.name, {"password": "YQ=="})))
    assert "forbidden" in await refusal(operator.get(f"{there}/db"))
    assert "forbidden" in await refusal(operator.list(there))
    assert "forbidden" in await refusal(operator.list("/api/v1/secrets"))
    assert "forbidden" in await refusal(operator.apply(secret("db", space.name, {})))
    assert "forbidden" in await refusal(operator.get(f"{there}/{AUTH_SECRET}"))


async def test_no_secret_is_filled_with_the_token_of_an_account(
    operator: KubernetesApi, owner: dict[str, Any], space: Space
) -> None:
    """The cluster writes an account's token into a Secret of this type, and this one may be read."""
    wanted = secret("emailflow-nats", space.name, {}, "kubernetes.io/service-account-token")
    wanted["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "default"}
    assert "fills with a token" in await refusal(operator.apply(wanted))


async def test_rights_are_not_to_be_had_by_more_rights(
    operator: KubernetesApi, owner: dict[str, Any]
) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}
    assert "forbidden" in await refusal(operator.apply({**role, "metadata": {"name": "evil"}}))
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    assert "forbidden" in await refusal(operator.list(policies))
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, "spec": {}}
    assert "forbidden" in await refusal(operator.apply(bare))
    value = {**owner, "spec": {**owner["spec"], "suspend": True}}
    value["metadata"] = {"name": "default", "namespace": owner["metadata"]["namespace"]}
    assert "forbidden" in await refusal(operator.apply(value))


async def test_nobody_else_is_judged(operator: KubernetesApi, owner: dict[str, Any], space: Space) -> None:
    """People may put a name of the operator's on what they like, and change what it has made."""
    theirs = copy.deepcopy(children(owner)["Service"])
    theirs["metadata"] = {"name": "emailruntime-x"}
    space.apply(json.dumps({**theirs, "spec": {"type": "NodePort", "ports": [{"port": 80}]}}))
    made = await operator.apply(children(owner)["Deployment"])
    there = f"--namespace={space.name}"
    space.kubectl("set", "image", f"deployment/{made['metadata']['name']}", "runtime=debug:1", there)
    space.kubectl("delete", "deployment", made["metadata"]["name"], there)


async def test_no_object_without_the_operators_label_waits_for_a_runtime(
    operator: KubernetesApi, space: Space
) -> None:
    """A policy without parameters refuses everybody, so it is asked about the operator's own objects only."""
    assert await space.get("emailruntimes", "default") is None
    about = {"name": "settings", "labels": {"app.kubernetes.io/part-of": "emailflow"}}
    space.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"a": "b"}}))
    space.apply(json.dumps(secret("emailflow-nats", space.name, {"a": "YQ=="})))
    labelled = {"name": "settings", "labels": {"app.kubernetes.io/managed-by": "emailflow-operator"}}
    restored = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": labelled})
    there = (f"--namespace={space.name}", "--filename=-")
    assert "needs-an-emailruntime" in space.kubectl.run("create", *there, manifests=restored).stderr
