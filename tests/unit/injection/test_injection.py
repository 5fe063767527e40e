"""A pod that asks for it gets its sidecar, in a shape that the strictest namespace takes."""

import copy
import json

import pytest

from emailflow_operator.injection import InjectionRefused, Injector, SidecarSettings


def sidecar_of(pod):
    return pod["spec"]["initContainers"][0]


def argument(pod, name):
    [found] = [each for each in sidecar_of(pod)["args"] if each.startswith(f"--{name}=")]
    return found.partition("=")[2]


def patched(document, patch):
    """The document after the "add" operations of a JSON Patch (RFC 6902 section 4.1)."""
    document = copy.deepcopy(document)
    for each in patch:
        assert each["op"] == "add"
        *parents, last = each["path"].split("/")[1:]
        target = document
        for part in parents:
            target = target[part]
        target[last] = each["value"]
    return document


def test_the_sidecar_is_native_and_first_and_the_app_waits_for_it(injected):
    first, second = injected()["spec"]["initContainers"]
    assert first["name"] == "emailflow"
    assert first["restartPolicy"] == "Always"
    assert first["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert second["name"] == "migrate"


def test_the_app_is_told_where_to_send_events(injected):
    spec = injected()["spec"]
    told = {"name": "K_SINK", "value": "http://localhost:8790/events"}
    assert spec["containers"][0]["env"] == [{"name": "A", "value": "1"}, told]
    assert spec["initContainers"][1]["env"] == [told]
    assert "env" not in sidecar_of({"spec": spec})


def test_an_app_that_sets_k_sink_keeps_its_own(injected):
    own = [{"name": "K_SINK", "value": "http://elsewhere"}]
    spec = injected(spec={"containers": [{"name": "shop", "image": "shop:1", "env": own}]})["spec"]
    assert spec["containers"][0]["env"] == own


def test_events_go_to_the_namespaces_own_default_runtime(injected):
    assert argument(injected(), "sink") == "http://emailruntime-default.shop.svc/events"


def test_events_go_to_the_runtime_that_is_named(injected):
    pod = injected(annotations={"emailflow.dev/runtime": "mail/main"})
    assert argument(pod, "sink") == "http://emailruntime-main.mail.svc/events"


def test_the_token_is_for_its_runtime_only_and_expires(injected):
    pod = injected()
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == "emailflow-token"]
    [source] = volume["projected"]["sources"]
    assert source["serviceAccountToken"] == {
        "path": "token",
        "audience": "emailflow/shop/default",
        "expirationSeconds": 3600,
    }
    [mount] = sidecar_of(pod)["volumeMounts"]
    assert argument(pod, "token") == f"{mount['mountPath']}/token"
    assert mount["readOnly"]


def test_the_sidecar_meets_the_restricted_standard(injected):
    # kubernetes.io/docs/concepts/security/pod-security-standards: Restricted
    container = sidecar_of(injected())
    context = container["securityContext"]
    assert context["runAsNonRoot"]
    assert context["runAsUser"] > 0
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["readOnlyRootFilesystem"]
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]
    assert not any("hostPort" in port for port in container["ports"])


def test_no_container_of_the_pod_shares_the_sidecars_user(injected):
    taken = sidecar_of(injected())["securityContext"]["runAsUser"]
    pod = injected(spec={"securityContext": {"runAsUser": taken}})
    assert sidecar_of(pod)["securityContext"]["runAsUser"] != taken


def test_a_spool_is_a_bounded_volume_that_the_sidecar_does_not_fill(injected):
    wishes = {"emailflow.dev/spool": "true", "emailflow.dev/spool-size": "100Mi"}
    pod = injected(annotations=wishes, spec={"terminationGracePeriodSeconds": 60})
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == "emailflow-spool"]
    assert volume["emptyDir"] == {"sizeLimit": "100Mi"}
    assert int(argument(pod, "spool-bytes")) == 80 << 20
    assert argument(pod, "grace") == "58"
    assert argument(pod, "spool") in [each["mountPath"] for each in sidecar_of(pod)["volumeMounts"]]


def test_without_the_wish_there_is_no_spool(injected):
    assert "spool" not in json.dumps(injected())


def test_the_patch_leads_to_the_pod(pod, injector):
    before = pod(annotations={"a": "b"})
    injection = injector.inject(before, "shop")
    assert patched(before, injection.patch) == injection.pod
    assert injection.pod["metadata"]["annotations"]["a"] == "b"


def test_a_pod_without_annotations_volumes_or_init_containers_can_be_patched(pod, injector):
    before = pod()
    del before["spec"]["volumes"], before["spec"]["initContainers"]
    injection = injector.inject(before, "shop")
    assert patched(before, injection.patch) == injection.pod


@pytest.mark.parametrize("wishes", [{}, {"emailflow.dev/spool": "true"}], ids=["plain", "spool"])
def test_a_second_time_nothing_changes(pod, injector, wishes):
    once = injector.inject(pod(annotations=wishes), "shop").pod
    assert injector.inject(once, "shop").patch == []


def test_what_the_api_server_and_others_add_between_two_calls_stays(pod, injector):
    once = injector.inject(pod(), "shop").pod
    container = once["spec"]["initContainers"][0]
    container["terminationMessagePath"] = "/dev/termination-log"
    container["startupProbe"]["timeoutSeconds"] = 1
    container["startupProbe"]["httpGet"]["scheme"] = "HTTP"
    container["volumeMounts"].append({"name": "kube-api-access", "mountPath": "/var/run/secrets/x"})
    once["spec"]["volumes"][1]["projected"]["defaultMode"] = 420
    once["spec"]["initContainers"].insert(0, {"name": "mesh", "image": "mesh:1", "env": [{"name": "K_SINK"}]})
    assert injector.inject(once, "shop").patch == []


def test_a_container_that_comes_later_is_told_too(pod, injector):
    once = injector.inject(pod(), "shop").pod
    once["spec"]["containers"].append({"name": "late", "image": "late:1"})
    [change] = injector.inject(once, "shop").patch
    assert change["path"] == "/spec/containers"
    assert [each["name"] for each in change["value"][1]["env"]] == ["K_SINK"]


def test_a_newer_installation_replaces_an_older_sidecar(pod, injector):
    old = injector.inject(pod(annotations={"emailflow.dev/spool": "true"}), "shop").pod
    del old["metadata"]["annotations"]["emailflow.dev/spool"]
    new = Injector(SidecarSettings(image="emailflow:2")).inject(old, "shop").pod
    assert sidecar_of(new)["image"] == "emailflow:2"
    assert "spool" not in json.dumps(new["spec"])
    mark = "emailflow.dev/injected"
    assert new["metadata"]["annotations"][mark] != old["metadata"]["annotations"][mark]


def test_the_sidecars_image_is_pulled_as_the_installation_says(pod):
    settings = SidecarSettings(image="emailflow:1", image_pull_policy="Never")
    assert sidecar_of(Injector(settings).inject(pod(), "shop").pod)["imagePullPolicy"] == "Never"


@pytest.mark.parametrize("labels", [{}, {"emailflow.dev/inject": "false"}, {"emailflow.dev/inject": "yes"}])
def test_who_does_not_ask_gets_nothing(pod, injector, labels):
    assert injector.inject(pod(labels=labels), "shop").patch == []


@pytest.mark.parametrize("spec", [{"hostNetwork": True}, {"os": {"name": "windows"}}])
def test_where_a_sidecar_can_not_be_the_pod_says_why(pod, injector, spec):
    injection = injector.inject(pod(spec=spec), "shop")
    assert injection.warning.startswith("no EmailFlow sidecar: ")
    assert injection.pod["metadata"]["annotations"]["emailflow.dev/not-injected"]
    assert injection.pod["spec"] == pod(spec=spec)["spec"]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("runtime", "default"),
        ("runtime", "Mail/default"),
        ("runtime", "mail/a.b"),
        ("runtime", "mail/default/x"),
        ("port", "80"),
        ("port", "99999"),
        ("port", "http"),
        ("spool", "yes"),
        ("spool-size", "1Mi"),
        ("spool-size", "lots"),
        ("spool-size", "0.5Gi"),
    ],
)
def test_a_wish_that_can_not_be_read_is_refused_by_name(pod, injector, annotation, value):
    wishes = {"emailflow.dev/spool": "true", f"emailflow.dev/{annotation}": value}
    with pytest.raises(InjectionRefused, match=rf'annotations\["emailflow.dev/{annotation}"\]: expected'):
        injector.inject(pod(annotations=wishes), "shop")


@pytest.mark.parametrize("port", [8790, 8791])
def test_a_port_that_the_app_uses_is_refused_with_a_way_out(pod, injector, port):
    spec = {"containers": [{"name": "shop", "image": "shop:1", "ports": [{"containerPort": port}]}]}
    with pytest.raises(InjectionRefused, match=r"spec.containers\[0\].ports.*emailflow.dev/port"):
        injector.inject(pod(spec=spec), "shop")
    other = injector.inject(pod(spec=spec, annotations={"emailflow.dev/port": "9790"}), "shop").pod
    assert argument(other, "port") == "9790"
    assert other["spec"]["containers"][0]["env"][0]["value"] == "http://localhost:9790/events"


def test_a_container_with_the_sidecars_name_is_refused(pod, injector):
    with pytest.raises(InjectionRefused, match=r"spec.containers\[0\].name"):
        injector.inject(pod(spec={"containers": [{"name": "emailflow", "image": "x"}]}), "shop")
