"""The picture of the cluster: what counts as a change, and whom it concerns."""

from emailflow_operator.reconcile.cluster import Change, Cluster
from emailflow_operator.reconcile.scope import (
    at_home,
    concerned,
    config_maps_for,
    objects_for,
    runtime_of,
    sources_for,
)

from .conftest import cluster_of, flow, provider, runtime, template, thing

MAIL = ("mail", "default")
ALL = {"from": "All"}
ELSEWHERE = {"runtimeRef": {"name": "default", "namespace": "mail"}}


def test_bookkeeping_is_no_change(shop: Cluster) -> None:
    again = {**flow(), "metadata": {**flow()["metadata"], "resourceVersion": "2", "managedFields": [{}]}}
    assert shop.put("EmailFlow", again) is Change.NONE


def test_a_status_is_a_small_change(shop: Cluster) -> None:
    version = shop.version("EmailFlow", "mail", "hello")
    assert shop.put("EmailFlow", {**flow(), "status": {"revision": "a"}}) is Change.STATUS
    assert shop.version("EmailFlow", "mail", "hello") == version


def test_a_spec_and_an_annotation_are_changes(shop: Cluster) -> None:
    assert shop.put("EmailFlow", flow(suspend=True)) is Change.SPEC
    marked = thing("EmailTemplate", "hello", template()["spec"], annotations={"a": "b"})
    assert shop.put("EmailTemplate", marked) is Change.SPEC


def test_a_flow_means_default_in_its_own_namespace() -> None:
    assert runtime_of(flow(namespace="shop")) == ("shop", "default")
    assert runtime_of(flow(namespace="shop", runtimeRef={"name": "big"})) == ("shop", "big")
    assert runtime_of(flow(namespace="shop", **ELSEWHERE)) == MAIL


def test_a_template_concerns_the_runtimes_of_its_namespaces_flows() -> None:
    cluster = cluster_of(runtime(allowedNamespaces=ALL), flow(namespace="shop", **ELSEWHERE))
    assert MAIL in concerned(cluster, template(namespace="shop"))


def test_nothing_of_a_namespace_that_may_not_come_in_costs_a_runtime_anything() -> None:
    bomb = flow(namespace="shop", **ELSEWHERE)
    cluster = cluster_of(runtime(), provider(), bomb, template(namespace="shop"))
    assert MAIL not in concerned(cluster, template(namespace="shop"))
    sources = sources_for(cluster, MAIL, {})
    given = {each.subject: each.value for each in sources.documents}
    assert "EmailTemplate/shop/hello" not in given
    assert set(given["EmailFlow/shop/hello"]) == {"apiVersion", "kind", "metadata"}
    assert sources.strangers["EmailFlow/shop/hello"].reason == "NotAllowed"
    cluster.put("EmailFlow", flow(namespace="shop", suspend=True, **ELSEWHERE))
    assert sources_for(cluster, MAIL, {}).version == sources.version
    # Its author hears of it all the same: of the flow from the runtime, of the template from its own home.
    assert MAIL in concerned(cluster, bomb)
    assert bomb["metadata"]["uid"] in {each["metadata"]["uid"] for each in at_home(cluster, MAIL)}
    [home] = [
        key for key in (MAIL, ("shop", "default")) if template(namespace="shop") in at_home(cluster, key)
    ]
    assert home == ("shop", "default")


def test_what_a_runtime_is_compiled_from_has_a_version(shop: Cluster) -> None:
    before = sources_for(shop, MAIL, {}).version
    shop.put("EmailTemplate", {**template(), "status": {"conditions": []}})
    shop.put("EmailTemplate", template(namespace="elsewhere"))
    assert sources_for(shop, MAIL, {}).version == before
    shop.put("EmailTemplate", template(subject="Another"))
    after = sources_for(shop, MAIL, {}).version
    assert after != before
    shop.remove("EmailTemplate", "mail", "hello")
    shop.put("EmailTemplate", template(subject="Another"))
    assert sources_for(shop, MAIL, {}).version != after


def test_a_layout_in_the_runtimes_namespace_concerns_it() -> None:
    assert MAIL in concerned(cluster_of(runtime()), template("base"))


def test_what_counts_in_the_runtimes_namespace_only_concerns_nobody_else() -> None:
    cluster = cluster_of(runtime(), flow(namespace="shop", **ELSEWHERE))
    assert concerned(cluster, provider()) == {MAIL}
    assert MAIL not in concerned(cluster, thing("EmailProvider", "smtp", namespace="shop"))


def test_labels_of_a_namespace_concern_the_runtimes_that_its_flows_mean() -> None:
    cluster = cluster_of(runtime(), flow(namespace="shop", **ELSEWHERE))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"mail": "yes"}}}
    assert MAIL in concerned(cluster, space)


def test_each_object_has_one_home() -> None:
    objects = [runtime(), provider(), flow(), template(), flow(namespace="shop", **ELSEWHERE)]
    cluster = cluster_of(*objects, template(namespace="shop"), flow("own", namespace="shop"))
    homes = [MAIL, ("shop", "default")]
    found = [(each["kind"], each["metadata"]["namespace"]) for key in homes for each in at_home(cluster, key)]
    assert len(found) == len(objects) + 2


def test_a_runtime_is_compiled_from_its_flows_and_what_they_can_name() -> None:
    other = flow("other", namespace="shop", runtimeRef={"name": "big", "namespace": "mail"})
    cluster = cluster_of(runtime(), provider(), flow(), template(), other, template(namespace="else"))
    found = {(each["kind"], each["metadata"]["namespace"]) for each in objects_for(cluster, MAIL)}
    assert found == {
        (kind, "mail") for kind in ("EmailRuntime", "EmailProvider", "EmailFlow", "EmailTemplate")
    }


def test_config_maps_are_found_wherever_they_are_named() -> None:
    body = {"bodyFrom": {"configMapKeyRef": {"name": "bodies", "key": "a"}, "format": "html"}}
    file = [{"name": "t.pdf", "configMapKeyRef": {"name": "files", "key": "t"}}]
    steps = [{"name": "hello", "send": {"templateRef": {"name": "hello"}, "attachments": file}}]
    cluster = cluster_of(runtime(), flow(steps=steps), template(**body))
    assert config_maps_for(cluster, MAIL) == {("mail", "bodies"), ("mail", "files")}


def test_a_namespace_whose_labels_are_not_known_still_has_its_name() -> None:
    cluster = cluster_of(runtime(allowedNamespaces=ALL), flow(namespace="shop", **ELSEWHERE))
    documents = sources_for(cluster, MAIL, {}).documents
    labels = {each.name: each.value["metadata"]["labels"] for each in documents if each.kind == "Namespace"}
    assert labels["shop"] == {"kubernetes.io/metadata.name": "shop"}
