"""Who may do what: no wildcard, Secrets one by one, and in namespaced mode nothing elsewhere."""

from tests.unit.chart.conftest import NAMESPACE, Helm, Object, Rendered

OPERATOR = "emailflow-operator"
OWN_SECRETS = {
    *(f"emailflow-nats-{each}" for each in ("runtime", "producer", "reader", "auth", "tls")),
    *("emailflow-nats", "emailflow-keys", "emailflow-webhook-tls"),
}


def rules(rendered: Rendered) -> list[Object]:
    roles = [*rendered.all("Role"), *rendered.all("ClusterRole")]
    return [rule for role in roles for rule in role["rules"]]


def test_no_role_has_a_wildcard(everything: Rendered) -> None:
    for rule in rules(everything):
        for words in rule.values():
            assert not [word for word in words if "*" in word], rule


def test_secrets_are_read_and_written_by_name_only(defaults: Rendered, helm: Helm) -> None:
    def named(rendered: Rendered, verbs: set[str]) -> set[str]:
        about = [rule for rule in rules(rendered) if "secrets" in rule.get("resources", ())]
        assert all(rule["resourceNames"] for rule in about)
        assert {verb for rule in about for verb in rule["verbs"]} <= {"get", "create", "patch"}
        return {name for rule in about if verbs <= set(rule["verbs"]) for name in rule["resourceNames"]}

    for values in ([], ["operator.watchNamespaces={shop}"]):
        assert named(helm(*values), {"get"}) == OWN_SECRETS
        more = helm("rbac.natsSecretNames={nats,nats-ca}", *values)
        assert named(more, {"get"}) == OWN_SECRETS | {"nats", "nats-ca"}
        assert named(more, {"patch"}) == OWN_SECRETS


def test_the_operator_never_writes_what_people_declare(defaults: Rendered) -> None:
    for rule in defaults.one("ClusterRole", OPERATOR)["rules"]:
        if "emailflow.dev" in rule.get("apiGroups", ()):
            written = set(rule["verbs"]) - {"get", "list", "watch"}
            assert not written or all(each.endswith("/status") for each in rule["resources"])


def test_the_operator_deletes_only_what_earlier_versions_called_by_other_names(defaults: Rendered) -> None:
    """What it makes has an owner, and goes with it. Services stay: who sends knows them by name."""
    deleted = set()
    for role in (defaults.one("ClusterRole", OPERATOR), defaults.one("Role", f"{OPERATOR}-own")):
        for rule in role["rules"]:
            assert not {"deletecollection", "escalate", "bind", "impersonate"} & set(rule["verbs"])
            deleted |= set(rule.get("resources", ())) if "delete" in rule["verbs"] else set()
    children = {"configmaps", "serviceaccounts", "deployments", "poddisruptionbudgets", "networkpolicies"}
    assert deleted == children


def test_webhook_configurations_are_patched_by_name(defaults: Rendered, helm: Helm) -> None:
    def about(rendered: Rendered) -> list[Object]:
        return [
            rule for rule in rules(rendered) if "admissionregistration.k8s.io" in rule.get("apiGroups", ())
        ]

    assert {name for rule in about(defaults) for name in rule["resourceNames"]} == {
        "emailflow",
        "emailflow-injector",
    }
    assert about(helm("webhooks.enabled=false")) == []
    [only] = about(helm("webhooks.injector.enabled=false"))
    assert only["resourceNames"] == ["emailflow"]


def test_whoever_brings_certificates_keeps_webhooks_from_the_operator(helm: Helm) -> None:
    """Who may change a webhook's configuration may change every pod of the cluster."""
    given = ("mode=Secret", "secretName=mine", "caBundle=QUJD")
    for values in (("mode=CertManager",), given):
        rendered = helm(*(f"webhooks.certificates.{each}" for each in values))
        groups = {group for rule in rules(rendered) for group in rule.get("apiGroups", ())}
        assert "admissionregistration.k8s.io" not in groups


def test_in_namespaced_mode_it_has_rights_in_those_namespaces_only(helm: Helm) -> None:
    rendered = helm("operator.watchNamespaces={shop,mail}")
    wide = {
        word for rule in rendered.one("ClusterRole", OPERATOR)["rules"] for word in rule.get("resources", ())
    }
    assert not wide & {"secrets", "deployments", "configmaps", "emailflows", "namespaces"}
    roles = {(role["metadata"]["namespace"], role["metadata"]["name"]) for role in rendered.all("Role")}
    assert roles == {("shop", OPERATOR), ("mail", OPERATOR), (NAMESPACE, f"{OPERATOR}-own")}
    for binding in rendered.all("RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": NAMESPACE}]
    [operator] = rendered.one("Deployment", OPERATOR)["spec"]["template"]["spec"]["containers"]
    assert {"--watch-namespace=shop", "--watch-namespace=mail"} <= set(operator["args"])


def test_all_that_the_operator_may_write_of_children_and_secrets_is_judged(
    defaults: Rendered, helm: Helm
) -> None:
    """By policies that know it as the account that the rights are bound to."""
    account = f"request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:{OPERATOR}'"
    judged = set()
    for policy in defaults.all("ValidatingAdmissionPolicy"):
        assert policy["spec"]["failurePolicy"] == "Fail"
        [condition] = policy["spec"]["matchConditions"]
        assert condition["expression"] == account
        if "paramKind" not in policy["spec"]:
            constraints = policy["spec"]["matchConstraints"]
            judged |= {word for rule in constraints["resourceRules"] for word in rule["resources"]}
    written = set()
    for rule in defaults.one("ClusterRole", OPERATOR)["rules"]:
        if {"create", "delete"} & set(rule["verbs"]):
            written |= set(rule["resources"])
    assert written - {"events"} == judged
    bound = {each["spec"]["policyName"] for each in defaults.all("ValidatingAdmissionPolicyBinding")}
    assert bound == {each["metadata"]["name"] for each in defaults.all("ValidatingAdmissionPolicy")}
    assert helm("rbac.admissionPolicy=false").all("ValidatingAdmissionPolicy") == []
    mine = helm("serviceAccount.name=mine", "image.digest=sha256:" + "a" * 64)
    assert "mine'" in str(mine.one("ValidatingAdmissionPolicy", f"{OPERATOR}-pods"))
    [operator] = mine.one("Deployment", OPERATOR)["spec"]["template"]["spec"]["containers"]
    image = next(each["value"] for each in operator["env"] if each["name"] == "EMAILFLOW_IMAGE")
    assert f"c.image == '{image}'" in str(mine.one("ValidatingAdmissionPolicy", f"{OPERATOR}-pods")).replace(
        '"', "'"
    )


def test_people_have_roles_that_join_the_clusters_own(defaults: Rendered, helm: Helm) -> None:
    author = defaults.one("ClusterRole", "emailflow-author")
    assert author["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert {word for rule in author["rules"] for word in rule["resources"]} == {
        "emailflows",
        "emailtemplates",
    }
    viewer = defaults.one("ClusterRole", "emailflow-viewer")
    assert viewer["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for rule in viewer["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    platform = defaults.one("ClusterRole", "emailflow-platform")
    assert not [name for name in platform["metadata"]["labels"] if "aggregate" in name]
    assert "emailruntimes" in {word for rule in platform["rules"] for word in rule["resources"]}
    names = {role["metadata"]["name"] for role in helm("rbac.userRoles=false").all("ClusterRole")}
    assert names == {OPERATOR}
