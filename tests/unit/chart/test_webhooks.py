"""Admission as the chart registers it: never in the way, and never asked about what isn't its business."""

from tests.unit.chart.conftest import NAMESPACE, Helm, Object, Rendered


def hooks(rendered: Rendered) -> list[Object]:
    kinds = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    return [hook for kind in kinds for each in rendered.all(kind) for hook in each["webhooks"]]


def test_an_absent_operator_holds_nobody_up(defaults: Rendered) -> None:
    found = hooks(defaults)
    assert len(found) == 2
    for hook in found:
        assert hook["failurePolicy"] == "Ignore"
        assert hook["timeoutSeconds"] == 5
        assert hook["sideEffects"] == "None"
        assert hook["admissionReviewVersions"] == ["v1"]


def test_the_ca_is_not_the_charts(defaults: Rendered) -> None:
    assert [hook for hook in hooks(defaults) if "caBundle" in hook["clientConfig"]] == []


def test_a_given_certificate_comes_with_its_ca(helm: Helm) -> None:
    given = "webhooks.certificates"
    rendered = helm(f"{given}.mode=Secret", f"{given}.secretName=mine", f"{given}.caBundle=QUJD")
    assert {hook["clientConfig"]["caBundle"] for hook in hooks(rendered)} == {"QUJD"}
    pod = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]
    assert {"name": "webhook-tls", "secret": {"secretName": "mine"}} in pod["volumes"]
    assert "--certificates=/etc/emailflow/webhook-tls" in pod["containers"][0]["args"]


def test_a_client_ca_is_what_the_operator_asks_clients_for(helm: Helm, defaults: Rendered) -> None:
    rendered = helm("webhooks.clientCA.configMapName=apiserver-ca", "webhooks.clientCA.key=root.pem")
    pod = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]
    [argument] = [each for each in pod["containers"][0]["args"] if each.startswith("--client-ca=")]
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "webhook-client-ca"]
    [volume] = [each for each in pod["volumes"] if each["name"] == "webhook-client-ca"]
    assert argument == f"--client-ca={mount['mountPath']}/ca.crt"
    assert volume["configMap"] == {"name": "apiserver-ca", "items": [{"key": "root.pem", "path": "ca.crt"}]}
    [operator] = defaults.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    assert not [each for each in operator["args"] if "client-ca" in each]


def test_sidecars_are_injected_only_where_asked_for(defaults: Rendered) -> None:
    [hook] = defaults.one("MutatingWebhookConfiguration", "emailflow-injector")["webhooks"]
    assert hook["objectSelector"] == {"matchLabels": {"emailflow.dev/inject": "true"}}
    [excluded] = hook["namespaceSelector"]["matchExpressions"]
    assert excluded["operator"] == "NotIn"
    assert set(excluded["values"]) == {"kube-system", NAMESPACE}
    assert hook["reinvocationPolicy"] == "IfNeeded"
    [rule] = hook["rules"]
    assert (rule["resources"], rule["operations"]) == (["pods"], ["CREATE"])


def test_all_kinds_are_validated(defaults: Rendered) -> None:
    [hook] = defaults.one("ValidatingWebhookConfiguration", "emailflow")["webhooks"]
    plurals = {each["spec"]["names"]["plural"] for each in defaults.all("CustomResourceDefinition")}
    assert set(hook["rules"][0]["resources"]) == plurals


def test_webhooks_lead_to_the_port_that_the_operator_serves(defaults: Rendered) -> None:
    service = defaults.one("Service", "emailflow-webhook")
    [operator] = defaults.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in operator["ports"]}
    assert service["spec"]["ports"][0]["targetPort"] in ports
    for hook in hooks(defaults):
        target = hook["clientConfig"]["service"]
        assert (target["name"], target["namespace"]) == ("emailflow-webhook", NAMESPACE)
    assert f"--webhook-port={ports['webhook']}" in operator["args"]


def test_without_webhooks_nothing_of_them_is_left(helm: Helm) -> None:
    rendered = helm("webhooks.enabled=false")
    assert hooks(rendered) == []
    [operator] = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    assert not [each for each in operator["args"] if "webhook" in each or "certificates" in each]
