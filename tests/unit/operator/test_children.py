"""What is made for an EmailRuntime: pods fit for `restricted`, references and never values."""

import json
from typing import Any

from emailflow_api.pod_settings import decode
from emailflow_operator.reconcile.children.manifests import children_of, says
from emailflow_operator.reconcile.children.settings import Image, Issuer

from .conftest import cluster_of, compiled_for, provider, runtime

MAIL = ("mail", "default")
ISSUER = Issuer("https://kubernetes.default.svc", '{"keys": [{}]}')


def children(owner: dict[str, Any], *others: dict[str, Any], **more: Any) -> dict[tuple[str, str], Any]:
    plans = compiled_for(MAIL, cluster_of(owner, *others)).plans
    wanted = {"image": Image("emailflow:1"), "nats_url": "nats://n:4222", "issuer": ISSUER, "minted": False}
    made = children_of(owner, plans, **{**wanted, **more})
    return {(each["kind"], each["metadata"]["name"]): each for each in made}


def pod_of(made: dict[tuple[str, str], Any]) -> dict[str, Any]:
    return made["Deployment", "emailruntime-default"]["spec"]["template"]["spec"]


def mounted(made: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Secrets by where they are mounted."""
    pod = pod_of(made)
    volumes = {each["name"]: each["secret"] for each in pod["volumes"] if "secret" in each}
    mounts = pod["containers"][0]["volumeMounts"]
    return {each["mountPath"]: volumes[each["name"]] for each in mounts if each["name"] in volumes}


def test_everything_is_owned_by_the_runtime_and_holds_nothing_up() -> None:
    for child in children(runtime()).values():
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("EmailRuntime", "uid-default", True)
        assert owner["blockOwnerDeletion"] is False


def test_pods_meet_the_restricted_standard() -> None:
    pod = pod_of(children(runtime()))
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
    allowed = {"configMap", "emptyDir", "secret"}
    assert all(set(volume) & allowed for volume in pod["volumes"])


def test_a_new_pod_is_there_before_an_old_one_goes() -> None:
    strategy = children(runtime())["Deployment", "emailruntime-default"]["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_pod_serves_on_until_services_lead_nobody_to_it() -> None:
    pod = children(runtime())["Deployment", "emailruntime-default"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    [program, seconds] = container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "sleep"
    assert 0 < int(seconds) < pod["terminationGracePeriodSeconds"] / 2


def test_what_the_spec_says_of_pods_is_taken_over() -> None:
    pod = {
        "resources": {"limits": {"memory": "512Mi"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "mail", "operator": "Exists"}],
        "annotations": {"a": "b"},
        "labels": {"team": "shop", "emailflow.dev/runtime": "not-this"},
    }
    made = children(runtime(pod=pod, replicas=3), image=Image("emailflow:1", "Never", ("pull",)))
    deployment = made["Deployment", "emailruntime-default"]["spec"]
    spec, metadata = pod_of(made), deployment["template"]["metadata"]
    assert deployment["replicas"] == 3
    assert spec["containers"][0]["resources"] == {
        "limits": {"memory": "512Mi"},
        "requests": {"cpu": "100m"},  # that of memory is its limit
    }
    assert spec["containers"][0]["imagePullPolicy"] == "Never"
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert (spec["nodeSelector"], spec["tolerations"]) == (pod["nodeSelector"], pod["tolerations"])
    assert (metadata["annotations"]["a"], metadata["labels"]["team"]) == ("b", "shop")
    assert metadata["labels"] | deployment["selector"]["matchLabels"] == metadata["labels"]


def test_pods_get_the_environment_that_tracing_wants_and_no_other() -> None:
    said = Image("emailflow:1", environment=(("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),))
    assert pod_of(children(runtime(), image=said))["containers"][0]["env"] == [
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://c:4318"}
    ]
    assert "env" not in pod_of(children(runtime()))["containers"][0]


def test_no_pod_is_the_first_to_be_evicted() -> None:
    """A pod without requests is BestEffort; the node's own needs and everybody else's come before it."""
    assert pod_of(children(runtime()))["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"}
    }
    own = {"resources": {"requests": {"memory": "1Gi"}}}
    assert pod_of(children(runtime(pod=own)))["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "1Gi"}
    }


def test_every_secret_that_is_named_is_mounted_as_a_folder_and_may_come_later() -> None:
    nats = {"url": "nats://n", "credentialsSecretRef": {"name": "nats", "key": "creds"}}
    keys = {"keysSecretRef": {"name": "keys", "key": "keyring"}, "nats": nats}
    secret = {
        "tls": "StartTls",
        "username": "u",
        "passwordSecretRef": {"name": "smtp-login", "key": "password"},
    }
    found = mounted(children(runtime(**keys), provider(**secret)))
    assert set(found) == {f"/etc/emailflow/secrets/{name}" for name in ("nats", "keys", "smtp-login")}
    assert all(each["optional"] for each in found.values())


def test_pods_get_their_own_of_the_minted_credentials_only() -> None:
    made = children(runtime(), minted=True)
    secret = mounted(made)["/etc/emailflow/secrets/emailflow-nats-runtime"]
    assert [each["key"] for each in secret["items"]] == ["default.creds"]
    settings = settings_of(made)
    assert settings.nats_credentials == "/etc/emailflow/secrets/emailflow-nats-runtime/default.creds"
    assert settings.nats_ca == ""


def test_pods_trust_who_the_operator_made_certificates_for() -> None:
    made = children(runtime(), minted=True, tls=True)
    secret = mounted(made)["/etc/emailflow/secrets/emailflow-nats-runtime"]
    assert [each["key"] for each in secret["items"]] == ["default.creds", "default.ca.crt"]
    assert settings_of(made).nats_ca == "/etc/emailflow/secrets/emailflow-nats-runtime/default.ca.crt"


def test_a_runtime_that_names_no_keys_gets_its_own_of_those_that_are_made() -> None:
    made = children(runtime())
    (secret,) = mounted(made).values()
    assert (secret["secretName"], [each["key"] for each in secret["items"]]) == (
        "emailflow-keys",
        ["default"],
    )
    assert settings_of(made).keyring == "/etc/emailflow/secrets/emailflow-keys/default"


def test_links_have_a_port_of_their_own_which_an_ingress_can_lead_to() -> None:
    made = children(runtime())
    ports = {each["name"]: each for each in made["Service", "emailruntime-default"]["spec"]["ports"]}
    assert {name: each["port"] for name, each in ports.items()} == {"events": 80, "links": 8082}
    (container,) = pod_of(made)["containers"]
    numbers = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert numbers == {"events": 8080, "admin": 8081, "links": 8082}
    (rule,) = made["NetworkPolicy", "emailruntime-default"]["spec"]["ingress"]
    assert sorted(each["port"] for each in rule["ports"]) == [8080, 8081, 8082]


def settings_of(made: dict[tuple[str, str], Any]) -> Any:
    return decode(made["ConfigMap", "emailruntime-default"]["data"]["runtime.json"].encode())


def test_settings_say_where_secrets_are() -> None:
    references = {"keysSecretRef": {"name": "keys", "key": "keyring"}, "shards": 4}
    settings = settings_of(children(runtime(**references)))
    assert (settings.namespace, settings.name, settings.shards) == ("mail", "default", 4)
    assert settings.keyring == "/etc/emailflow/secrets/keys/keyring"
    assert (settings.issuer, settings.jwks) == (ISSUER.url, "/etc/emailflow/issuer/jwks.json")


def test_a_receiver_that_takes_no_service_accounts_knows_no_issuer() -> None:
    made = children(runtime(receiver={"serviceAccounts": False}))
    assert settings_of(made).issuer == ""
    assert "jwks.json" not in made["ConfigMap", "emailruntime-default"]["data"]


def test_rotated_keys_of_the_cluster_replace_no_pod_and_new_settings_do() -> None:
    def rolled(**more: Any) -> str:
        return json.dumps(
            children(runtime(), **more)["Deployment", "emailruntime-default"]["spec"]["template"]
        )

    assert rolled() == rolled(issuer=ISSUER._replace(jwks='{"keys": [{}, {}]}'))
    assert rolled() != rolled(nats_url="nats://elsewhere:4222")


def test_what_others_and_the_server_add_is_theirs() -> None:
    wanted = {"a": {"b": 1}, "list": [{"name": "x"}]}
    assert says({"a": {"b": 1, "c": 2}, "list": [{"name": "x", "default": True}], "d": 3}, wanted)
    assert not says({"a": {"b": 2}, "list": [{"name": "x"}]}, wanted)
    assert not says({"a": {"b": 1}, "list": [{"name": "x"}, {"name": "y"}]}, wanted)
    assert not says({"a": None, "list": []}, wanted)
