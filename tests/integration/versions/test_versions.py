"""A second version of the API comes and the first one goes, and no resource is lost or changed."""

from collections.abc import Callable

import pytest
import yaml

from .conftest import NEW, OLD, ROOT, WARNING, Cluster, Object, block

EXAMPLE = sorted((ROOT / "examples/onboarding").glob("*.yaml"))


def resources(version: str) -> list[Object]:
    """The onboarding example in a version."""
    found = [value for path in EXAMPLE for value in yaml.safe_load_all(path.read_text()) if value]
    for value in found:
        value["metadata"]["namespace"] = "default"
        value["apiVersion"] = f"emailflow.dev/{version}"
    return found


def content(value: Object) -> Object:
    """The object but for what says in which version it was read and stored, and who wrote it."""
    told = ("resourceVersion", "managedFields")
    metadata = {key: item for key, item in value["metadata"].items() if key not in told}
    return {**value, "apiVersion": "", "metadata": metadata}


def contents(values: list[Object]) -> list[Object]:
    return [content(value) for value in values]


def with_both(cluster: Cluster) -> Cluster:
    """Resources that were written when there was one version, and a second one since."""
    assert cluster.define(OLD, storage=OLD).returncode == 0
    assert cluster.apply(resources(OLD)).returncode == 0
    for kind in ("emailflows", "emailtemplates"):  # as the operator does
        status = '{"status": {"observedGeneration": 1}}'
        patch = ("patch", kind, "--subresource=status", "--type=merge", f"--patch={status}")
        name = next(each["metadata"]["name"] for each in resources(OLD) if each["kind"].lower() == kind[:-1])
        cluster.kubectl(*patch, name, "--namespace=default")
    assert cluster.define(OLD, NEW, storage=OLD).returncode == 0
    return cluster


@pytest.fixture(scope="module")
def shared(start_cluster: Callable[[], Cluster]) -> Cluster:
    """For tests that only say which of both is stored."""
    return with_both(start_cluster())


@pytest.fixture
def both(start_cluster: Callable[[], Cluster]) -> Cluster:
    """For a test that lets one go."""
    return with_both(start_cluster())


def test_an_object_is_the_same_in_both_versions_and_after_a_way_through_the_new_one(shared: Cluster) -> None:
    shared.define(OLD, NEW, storage=OLD)
    before, read = shared.all(OLD), shared.all(NEW)
    assert {each["kind"] for each in before} > {"EmailFlow", "EmailTemplate", "EmailProvider"}
    assert {each["apiVersion"] for each in read} == {f"emailflow.dev/{NEW}"}
    assert contents(read) == contents(before)
    shared.kubectl("replace", "--filename=-", manifests=yaml.safe_dump_all(read))
    assert contents(shared.all(OLD)) == contents(before)


def test_manifests_of_the_old_version_may_stay(shared: Cluster) -> None:
    before = contents(shared.all(OLD))
    shared.define(OLD, NEW, storage=NEW)
    assert shared.apply(resources(OLD)).returncode == 0
    assert contents(shared.all(OLD)) == before


def test_a_deprecated_version_says_so_and_goes_on(shared: Cluster) -> None:
    shared.define(OLD, NEW, storage=NEW, deprecated=OLD)
    answer = shared.apply(resources(OLD))
    assert answer.returncode == 0
    assert f"Warning: {WARNING}" in answer.stderr
    assert "Warning" not in shared.apply(resources(NEW)).stderr


def test_the_pages_commands_let_the_old_version_go(both: Cluster) -> None:
    both.define(OLD, NEW, storage=NEW)
    assert both.stored_versions() == {(OLD, NEW)}
    refused = both.define(NEW, storage=NEW)
    assert refused.returncode == 1
    assert "storedVersions" in refused.stderr

    before = both.all(NEW)
    both.run(block("forget"))  # too early
    assert both.apply_definitions(NEW, storage=NEW).returncode == 0
    assert not both.can_read(NEW)
    both.define(OLD, NEW, storage=NEW)
    assert contents(both.all(NEW)) == contents(before)

    both.run(block("rewrite"))
    rewritten = both.all(NEW)
    assert contents(rewritten) == contents(before)
    assert OLD not in yaml.safe_dump([each["metadata"]["managedFields"] for each in rewritten])
    both.run(block("forget"))
    assert both.stored_versions() == {(NEW,)}
    assert both.define(NEW, storage=NEW).returncode == 0
    assert both.all(NEW) == rewritten
    assert both.apply(resources(NEW)).returncode == 0
    assert contents(both.all(NEW)) == contents(before)


def test_the_pages_commands_lead_back_to_the_release_before(both: Cluster) -> None:
    both.define(OLD, NEW, storage=NEW)
    both.run(block("rewrite"))
    before = contents(both.all(NEW))
    assert both.define(OLD, storage=OLD).returncode == 1

    both.run(block("store-the-old"))
    both.run(block("rewrite").replace(f"old={OLD} new={NEW}", f"old={NEW} new={OLD}"))
    both.run(block("forget-the-new"))
    assert both.stored_versions() == {(OLD,)}
    assert both.define(OLD, storage=OLD).returncode == 0
    assert contents(both.all(OLD)) == before
    assert both.apply(resources(OLD)).returncode == 0
