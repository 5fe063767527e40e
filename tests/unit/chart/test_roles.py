"""Who may do what: no wildcard, Secrets one by one, and in namespaced mode nothing elsewhere."""

from tests.unit.chart.conftest import NAMESPACE, Helm, Object, Rendered

OPERATOR = "emailflow-operator"
OWN_SECRETS = {"emailflow-nats", "emailflow-keys", "emailflow-nats-auth", "emailflow-webhook-tls"}


def rules(rendered: Rendered) -> list[Object]:
    roles = [*rendered.all("Role"), *rendered.all("ClusterRole")]
    return [rule for role in roles for rule in role["rules"]]


def test_no_role_has_a_wildcard(everything: Rendered) -> None:
    for rule in rules(everything):
        for words in rule.values():
            assert not [word for word in words if "*" in word], rule


def test_secrets_are_read_one_by_one_and_only_its_own_are_written(defaults: Rendered) -> None:
    about = [rule for rule in rules(defaults) if "secrets" in rule.get("resources", ())]
    assert about
    for rule in about:
        verbs = set(rule["verbs"])
        assert verbs <= {"get", "create", "patch"}
        if verbs != {"get"}:
            assert set(rule["resourceNames"]) <= OWN_SECRETS


def test_the_operator_never_writes_what_people_declare(defaults: Rendered) -> None:
    for rule in defaults.one("ClusterRole", OPERATOR)["rules"]:
        if "emailflow.dev" in rule.get("apiGroups", ()):
            written = set(rule["verbs"]) - {"get", "list", "watch"}
            assert not written or all(each.endswith("/status") for each in rule["resources"])


def test_the_operator_deletes_nothing(defaults: Rendered) -> None:
    """What it makes has an owner, and goes with it."""
    for role in (defaults.one("ClusterRole", OPERATOR), defaults.one("Role", f"{OPERATOR}-own")):
        for rule in role["rules"]:
            assert not {"delete", "deletecollection", "escalate", "bind", "impersonate"} & set(rule["verbs"])


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
