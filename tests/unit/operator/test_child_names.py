"""Names of a runtime's children: they meet neither each other nor the installation's own objects."""

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.child_names import ADMIN_PREFIX, PREFIX, admin_name, child_name, earlier_name
from emailflow_operator.reconcile.children.earlier import is_available, serving
from emailflow_operator.reconcile.children.labels import is_owned_by, metadata

from .conftest import cluster_of, runtime, thing

ALPHABET = st.sampled_from(string.ascii_lowercase + string.digits + "-")
LABELS = st.text(ALPHABET, min_size=1, max_size=63).filter(lambda text: text.strip("-") == text)
MAKERS = (child_name, admin_name)


@given(st.sets(LABELS, min_size=2, max_size=8))
def test_no_two_children_have_one_name(runtimes: set[str]) -> None:
    names = [make(each) for make in MAKERS for each in runtimes]
    assert len(set(names)) == len(names)


@given(LABELS)
def test_a_name_is_one_that_services_may_have(name: str) -> None:
    for make in MAKERS:
        assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", make(name))


def test_a_cut_name_is_no_other_runtimes_own() -> None:
    """Somebody who knows the rule gives a runtime the name that another one's is cut to."""
    cut = child_name("a" * 63)
    assert child_name(cut.removeprefix(PREFIX)) != cut
    cut = admin_name("a" * 63)
    assert admin_name(cut.removeprefix(ADMIN_PREFIX)) != cut
    assert child_name("a" * 60 + "b") != child_name("a" * 60 + "c")


@pytest.mark.parametrize("name", ["operator", "nats", "nats-peers", "webhook", "operator-own"])
def test_no_runtime_has_the_names_of_the_installation(name: str) -> None:
    assert f"emailflow-{name}" not in {child_name(name), admin_name(name)}


def live(name: str, **about: Any) -> dict[str, Any]:
    return {"metadata": {**metadata(runtime()), "name": name, **about}}


def test_what_was_made_for_the_runtime_is_known_by_label_and_owner() -> None:
    owner = runtime()
    assert is_owned_by(live("a"), owner)
    again = {**owner, "metadata": {**owner["metadata"], "uid": "another"}}
    assert is_owned_by(live("a"), again), "made anew under its name, it keeps its children"


@pytest.mark.parametrize(
    "about",
    [
        {"labels": {}},
        {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
        {"labels": None},
        {"ownerReferences": []},
        {"ownerReferences": None},
        {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "default"}]},
        {"ownerReferences": [{"apiVersion": "other.dev/v1", "kind": "EmailRuntime", "name": "default"}]},
        {"ownerReferences": [{"apiVersion": "emailflow.dev/v1", "kind": "EmailRuntime", "name": "other"}]},
    ],
    ids=str,
)
def test_anything_else_is_somebody_elses(about: dict[str, Any]) -> None:
    assert not is_owned_by(live("a", **about), runtime())


def deployment(name: str, ready: int, **status: int) -> dict[str, Any]:
    said = {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": ready, **status}
    made = thing("Deployment", name, {"replicas": 2}, labels={"emailflow.dev/runtime": "default"})
    return {**made, "status": said}


def test_a_deployment_is_available_with_all_its_pods_up_to_date() -> None:
    assert is_available(deployment("a", 2))
    assert not is_available(None)
    assert not is_available(deployment("a", 1))
    assert not is_available(deployment("a", 2, updatedReplicas=1))
    assert not is_available(deployment("a", 2, observedGeneration=0))
    assert is_available({**deployment("a", 0), "spec": {"replicas": 0}})


def test_the_earlier_pods_count_until_one_of_the_new_ones_is_ready() -> None:
    new, old = child_name("default"), earlier_name("default")

    def shown(*there: dict[str, Any]) -> Any:
        found = serving(cluster_of(*there), "mail", "default")
        return found and found["metadata"]["name"]

    assert shown() is None
    assert shown(deployment(new, 0)) == new
    assert shown(deployment(new, 0), deployment(old, 2)) == old
    assert shown(deployment(new, 1), deployment(old, 2)) == new
    assert shown(deployment(new, 0), deployment(old, 0)) == new
