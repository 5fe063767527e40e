"""Manifests that use every field are what models and editors accept, and nothing else is."""

import copy
import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml

from emailflow_api.kinds import KINDS, InvalidResource, parse
from emailflow_api.structural.editor import json_schema

HERE = Path(__file__).parent
MANIFESTS = sorted(path.stem for path in (HERE / "manifests").glob("*.yaml"))


@pytest.fixture(params=MANIFESTS)
def document(request, manifest):
    return manifest(request.param)


@cache
def validator(kind):
    schema = json_schema(KINDS[kind])
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_there_is_a_manifest_for_each_kind(manifest):
    assert {manifest(name)["kind"] for name in MANIFESTS} == set(KINDS)


def test_the_models_accept_it(document):
    assert parse(document).kind == document["kind"]


def test_what_a_model_writes_is_what_it_read(document):
    written = parse(document).model_dump(by_alias=True, exclude_unset=True)
    assert written == document


def test_the_schema_for_editors_accepts_it(document):
    assert [error.message for error in validator(document["kind"]).iter_errors(document)] == []


def objects(value, path=()):
    """Paths of all objects in a document of which the API knows each field."""
    free = {"schema", "sample", "traits", "data", "labels", "annotations", "exact", "headers", "matchLabels"}
    if isinstance(value, dict) and not (path and path[-1] in free | {"metadata", "migrate", "nodeSelector"}):
        yield path
        for name, child in value.items():
            yield from objects(child, (*path, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from objects(child, (*path, index))


def verdict(document):
    """What the models say: the resource, or the paths of what is wrong."""
    try:
        return parse(document)
    except InvalidResource as refusal:
        return {finding.path for finding in refusal.findings}


def dotted(path):
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def test_an_unknown_field_anywhere_is_refused_with_its_path(document):
    for path in objects(document):
        broken = copy.deepcopy(document)
        target = broken
        for part in path:
            target = target[part]
        target["bogus"] = 1
        with pytest.raises(InvalidResource) as refusal:
            parse(broken)
        paths = {finding.path for finding in refusal.value.findings}
        assert dotted((*path, "bogus")) in paths
        assert not validator(document["kind"]).is_valid(broken), dotted(path)


def test_null_is_the_same_as_absent(document):
    for name in document["spec"]:
        without = {key: value for key, value in document["spec"].items() if key != name}
        null, absent = ({**document, "spec": spec} for spec in ({**without, name: None}, without))
        assert verdict(null) == verdict(absent)


def test_null_for_an_unknown_field_is_refused(manifest):
    document = manifest("emailflow")
    document["spec"]["bogus"] = None
    assert "spec.bogus" in verdict(document)


def test_null_inside_free_data_is_data(manifest):
    document = manifest("emailtemplate")
    document["spec"]["sample"] = {"contact": {"name": None}}
    assert parse(document).spec.sample == {"contact": {"name": None}}


@pytest.mark.parametrize("start", ["New", "Earliest", {"time": "2026-03-07T20:00:00-05:00"}])
def test_a_flow_starts_from_a_word_or_a_time(manifest, start):
    document = manifest("emailflow")
    document["spec"]["trigger"]["startFrom"] = start
    assert validator("EmailFlow").is_valid(document)
    assert parse(document)


@pytest.mark.parametrize(
    "start",
    ["Oldest", "", 5, True, [], {}, {"time": "yesterday"}, {"time": "2026-03-07T20:00:00Z", "zone": "UTC"}],
    ids=json.dumps,
)
def test_a_flow_starts_from_nothing_else(manifest, start):
    document = manifest("emailflow")
    document["spec"]["trigger"]["startFrom"] = start
    assert not validator("EmailFlow").is_valid(document)
    with pytest.raises(InvalidResource, match=r"spec\.trigger\.startFrom"):
        parse(document)


@pytest.mark.parametrize("memory", [1, "1", "512Mi", "1.5Gi", "500m"])
def test_resources_are_numbers_or_text(manifest, memory):
    document = manifest("emailruntime")
    document["spec"]["pod"]["resources"] = {"limits": {"memory": memory}}
    assert validator("EmailRuntime").is_valid(document)
    assert parse(document).spec.pod.resources.limits == {"memory": str(memory)}


def test_a_status_that_a_newer_operator_wrote_is_read(manifest):
    document = manifest("emailflow")
    document["status"] = {"observedGeneration": 3, "conditions": [], "inventedLater": {"a": 1}}
    assert parse(document).status.observed_generation == 3


def test_absent_fields_have_their_documented_values():
    document = yaml.safe_load(
        """
        apiVersion: emailflow.dev/v1alpha1
        kind: EmailFlow
        metadata: {name: least}
        spec:
          trigger: {types: [com.example.signed_up]}
          steps:
            - {name: morning, wait: {until: {time: "09:00"}}}
        """
    )
    flow = parse(document)
    assert flow.namespace == "default"
    assert (flow.spec.revision_policy, flow.spec.deletion_policy) == ("Pin", "Drain")
    assert (flow.spec.trigger.reentry, flow.spec.trigger.start_from) == ("AfterExit", "New")
    until = flow.spec.steps[0].wait.until
    assert (until.timezone, until.days) == ("contact", ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
