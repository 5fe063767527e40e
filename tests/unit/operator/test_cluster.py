"""The picture of the cluster: what counts as a change, and whom it concerns."""

from emailflow_operator.reconcile.cluster import Change, Cluster
from emailflow_operator.reconcile.scope import (
    at_home,
    concerned,
    config_maps_for,
    documents_for,
    objects_for,
    runtime_of,
)

from .conftest import cluster_of, flow, provider, runtime, template, thing

MAIL = ("mail", "default")
ELSEWHERE = {"runtimeRef": {"name": "default", "namespace": "mail"}}


def test_bookkeeping_is_no_change(shop: Cluster) -> None:
    again = {**flow(), "metadata": {**flow()["metadata"], "resourceVersion": "2", "managedFields": [{}]}}
    assert shop.put("EmailFlow", again) is Change.NONE


def test_a_status_is_a_small_change(shop: Cluster) -> None:
    changes = shop.changes
    assert shop.put("EmailFlow", {**flow(), "status": {"revision": "a"}}) is Change.STATUS
    assert shop.changes == changes


def test_a_spec_and_an_annotation_are_changes(shop: Cluster) -> None:
    assert shop.put("EmailFlow", flow(suspend=True)) is Change.SPEC
    marked = thing("EmailTemplate", "hello", template()["spec"], annotations={"a": "b"})
    assert shop.put("EmailTemplate", marked) is Change.SPEC


def test_a_flow_means_default_in_its_own_namespace() -> None:
    assert runtime_of(flow(namespace="shop")) == ("shop", "default")
    assert runtime_of(flow(namespace="shop", runtimeRef={"name": "big"})) == ("shop", "big")
    assert runtime_of(flow(namespace="shop", **ELSEWHERE)) == MAIL


def test_a_template_concerns_the_runtimes_of_its_namespaces_flows() -> None:
    cluster = cluster_of(runtime(), flow(namespace="shop", **ELSEWHERE))
    assert MAIL in concerned(cluster, template(namespace="shop"))


def test_a_layout_in_the_runtimes_namespace_concerns_it() -> None:
    assert MAIL in concerned(cluster_of(runtime()), template("base"))


def test_what_counts_in_the_runtimes_namespace_only_concerns_nobody_else() -> None:
    cluster = cluster_of(runtime(), flow(namespace="shop", **ELSEWHERE))
    assert concerned(cluster, provider()) == {MAIL}
    assert MAIL not in concerned(cluster, thing("EmailProvider", "smtp", namespace="shop"))


def test_labels_of_a_namespace_concern_the_runtimes_that_its_flows_mean() -> None:
    cluster = cluster_of(runtime(), flow(namespace="shop", **ELSEWHERE))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"mail": "yes"}}}
    assert concerned(cluster, space) == {MAIL}


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
    documents = documents_for(cluster_of(runtime(), flow(namespace="shop", **ELSEWHERE)), MAIL, {})
    labels = {each.name: each.value["metadata"]["labels"] for each in documents if each.kind == "Namespace"}
    assert labels["shop"] == {"kubernetes.io/metadata.name": "shop"}
