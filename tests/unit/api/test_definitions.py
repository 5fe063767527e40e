"""What `kubectl` gets to know of the kinds: names, columns, subresources."""

import re

import pytest

from emailflow_api.kinds import RESOURCES

SHORT_NAMES = {
    "EmailFlow": "ef",
    "EmailTemplate": "et",
    "EmailProvider": "epr",
    "EventType": "evt",
    "ContactPolicy": "cp",
    "EmailRuntime": "er",
}


@pytest.fixture(params=RESOURCES)
def definition(request, definitions):
    return definitions[request.param]


def version(definition):
    [only] = definition["spec"]["versions"]
    return only


def test_each_kind_has_its_short_name_and_the_category(definitions):
    names = {kind: definition["spec"]["names"] for kind, definition in definitions.items()}
    assert {kind: entry["shortNames"] for kind, entry in names.items()} == {
        kind: [short] for kind, short in SHORT_NAMES.items()
    }
    assert all(entry["categories"] == ["emailflow-all"] for entry in names.values())


def test_a_definition_is_named_by_plural_and_group(definition):
    spec = definition["spec"]
    assert definition["metadata"]["name"] == f"{spec['names']['plural']}.emailflow.dev"
    assert spec["group"] == "emailflow.dev"
    assert spec["scope"] == "Namespaced"


def test_v1alpha1_is_served_and_stored(definition):
    only = version(definition)
    assert (only["name"], only["served"], only["storage"]) == ("v1alpha1", True, True)


def test_the_status_is_a_subresource(definition):
    assert version(definition)["subresources"]["status"] == {}


def test_columns_begin_with_ready_and_reason_and_end_with_age(definition):
    columns = [column["name"] for column in version(definition)["additionalPrinterColumns"]]
    assert columns[:2] == ["Ready", "Reason"]
    assert columns[-1] == "Age"


def test_messages_are_shown_in_wide_output_only(definition):
    columns = {column["name"]: column for column in version(definition)["additionalPrinterColumns"]}
    assert columns["Message"]["priority"] == 1


def test_columns_and_scale_point_at_fields_that_exist(definition):
    only = version(definition)
    paths = [column["jsonPath"] for column in only["additionalPrinterColumns"]]
    paths += only["subresources"].get("scale", {}).values()
    for path in paths:
        if path == ".metadata.creationTimestamp":
            continue
        node = only["schema"]["openAPIV3Schema"]
        for part in re.sub(r"\[\?.*\]", "[]", path).strip(".").split("."):
            node = node["properties"][part.removesuffix("[]")]
            node = node["items"] if part.endswith("[]") else node


def test_only_the_runtime_can_be_scaled(definitions):
    scalable = {kind for kind, d in definitions.items() if "scale" in version(d)["subresources"]}
    assert scalable == {"EmailRuntime"}


def test_conditions_are_told_apart_by_type(definition):
    status = version(definition)["schema"]["openAPIV3Schema"]["properties"]["status"]
    conditions = status["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert set(conditions["items"]["required"]) == {
        "type",
        "status",
        "reason",
        "message",
        "lastTransitionTime",
    }
