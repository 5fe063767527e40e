"""What people meet: a real API server that calls the webhooks, and kubectl in front of it."""

import json

import aiohttp
import pytest

from emailflow_operator.injection import Injector, SidecarSettings

FLOW = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: welcome}
spec:
  trigger: {types: [com.example.joined]}
  continueIf: "CONDITION"
  steps: [{name: greet, send: {templateRef: {name: hello}}}]
"""
SOUND = FLOW.replace("CONDITION", "contact.traits.plan == 'pro'")
BROKEN = FLOW.replace("CONDITION", "contact.traits.plan ==")
CONTRACT = """
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {name: cart}
spec: {type: com.example.cart, schema: {type: object, required: REQUIRED, properties: {id: {type: string}}}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {emailflow.dev/inject: "true"}}
spec:
  HOST
  serviceAccountName: default
  containers:
    - name: shop
      image: shop:1
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
        seccompProfile: {type: RuntimeDefault}
"""


@pytest.fixture
async def installed(replica, installation):
    """The webhooks, called by the API server."""
    running = await replica()
    await installation.install(running.url)
    await running.certificates.look()
    await installation.until(lambda answer: answer.returncode != 0, BROKEN)
    return running


async def test_a_flow_that_does_not_compile_is_refused_with_its_place(installed, installation):
    answer = await installation.apply(BROKEN)
    assert answer.returncode != 0
    assert "spec.continueIf: " in answer.stderr
    assert "[InvalidExpression]" in answer.stderr


async def test_what_is_not_there_yet_is_a_warning(installed, installation):
    answer = await installation.apply(SOUND)
    assert answer.returncode == 0
    assert "Warning: spec.steps[0].send.templateRef.name: " in answer.stderr


async def test_a_trial_is_judged_like_the_real_thing_and_leaves_nothing(installed, installation):
    assert (await installation.apply(SOUND, "--dry-run=server")).returncode == 0
    answer = await installation.run(
        "get", "ef", f"--namespace={installation.place.namespace}", "--output=name"
    )
    assert answer.stdout == ""


async def test_a_contract_keeps_its_promise_and_a_revert_passes(installed, installation):
    assert (await installation.apply(CONTRACT.replace("REQUIRED", "[id]"))).returncode == 0
    answer = await installation.apply(CONTRACT.replace("REQUIRED", "[id, total]"))
    assert answer.returncode != 0
    assert "spec.schema.required: `total` is required now" in answer.stderr
    looser = CONTRACT.replace("REQUIRED", "[]")
    assert (await installation.apply(looser)).returncode == 0
    promising_nothing = CONTRACT.replace("REQUIRED", "[id]").replace(
        "schema:", "compatibility: None, schema:"
    )
    assert (await installation.apply(promising_nothing)).returncode == 0


async def test_a_restricted_namespace_takes_a_pod_with_its_sidecar(installed, installation):
    namespace = installation.place.namespace
    label = "pod-security.kubernetes.io/enforce=restricted"
    assert (await installation.run("label", "namespace", namespace, label)).returncode == 0
    manifest = POD.replace("NAME", "shop").replace("HOST", "terminationGracePeriodSeconds: 60")
    answer = await installation.apply(manifest)
    assert answer.returncode == 0, answer.stderr
    stored = json.loads(
        (await installation.run("get", "pod", "shop", f"--namespace={namespace}", "--output=json")).stdout
    )
    [sidecar] = stored["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert f"--sink=http://emailruntime-default.{namespace}.svc/events" in sidecar["args"]
    assert stored["spec"]["containers"][0]["env"][0]["name"] == "K_SINK"
    # With all that the API server has filled in, there is nothing left to change.
    assert Injector(SidecarSettings(image="emailflow:1")).inject(stored, namespace).patch == []


async def test_a_pod_on_the_hosts_network_runs_without_and_kubectl_says_so(installed, installation):
    manifest = POD.replace("NAME", "host").replace("HOST", "hostNetwork: true")
    answer = await installation.apply(manifest)
    assert answer.returncode == 0, answer.stderr
    assert "Warning: no EmailFlow sidecar: " in answer.stderr


async def test_a_wish_that_can_not_be_met_is_refused(installed, installation):
    wish = "metadata: {annotations: {emailflow.dev/runtime: x}, name: NAME"
    manifest = POD.replace("metadata: {name: NAME", wish).replace("NAME", "odd").replace("  HOST\n", "")
    answer = await installation.apply(manifest)
    assert answer.returncode != 0
    assert 'metadata.annotations["emailflow.dev/runtime"]: expected' in answer.stderr


async def test_nothing_is_held_up_when_the_webhooks_are_away(installed, installation):
    await installed.server.__aexit__(None, None, None)
    assert (await installation.apply(BROKEN)).returncode == 0


async def test_only_the_bundle_is_written_and_an_upgrade_of_the_chart_keeps_it(installed, installation):
    before = await installation.bundle()
    assert before
    await installation.install(installed.url)
    assert await installation.bundle() == before
    fields = (await installation.read("MutatingWebhookConfiguration"))["metadata"]["managedFields"]
    [ours] = [each for each in fields if each["manager"] == "emailflow-certificates"]
    hook = ours["fieldsV1"]["f:webhooks"]['k:{"name":"inject.emailflow.dev"}']
    assert set(hook) == {".", "f:clientConfig", "f:name"}
    assert hook["f:clientConfig"] == {"f:caBundle": {}}


async def test_an_api_server_that_presents_its_certificate_is_answered(apiserver, replica, installation):
    folder = apiserver.authority.parents[1]
    running = await replica(client_ca=folder / "webhooks.crt")
    await installation.install(running.url)
    await running.certificates.look()
    answer = await installation.until(lambda answer: answer.returncode != 0, BROKEN)
    assert "[InvalidExpression]" in answer.stderr
    with pytest.raises(aiohttp.ClientError):
        await running.post("/validate", b"{}", await installation.bundle())
