"""The definitions as a real API server takes them, and as kubectl shows them."""

import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DEFINITIONS = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
BY_PLURAL = pytest.mark.parametrize(
    "definition", DEFINITIONS, ids=[definition["spec"]["names"]["plural"] for definition in DEFINITIONS]
)
RULES = Path(__file__).parent / "rules"


def a_manifest(definition):
    """Some manifest of that kind which the rules' fixtures say is accepted."""
    kind = definition["spec"]["names"]["kind"].lower()
    return next(yaml.safe_load_all((RULES / kind / "name-is-a-label/accepted.yaml").read_text()))


@BY_PLURAL
def test_a_definition_is_established_and_structural(apiserver, definition):
    answer = json.loads(apiserver("get", "crd", definition["metadata"]["name"], "--output=json"))
    conditions = {condition["type"]: condition["status"] for condition in answer["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions


@BY_PLURAL
def test_explain_has_a_text_for_each_field_of_the_spec(apiserver, definition):
    explained = apiserver("explain", f"{definition['metadata']['name'].split('.')[0]}.spec")
    assert "<no description>" not in explained
    fields = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
        "properties"
    ]
    for field in fields:
        assert f"  {field}\t" in explained


@BY_PLURAL
def test_short_names_name_the_kind(apiserver, namespace, definition):
    [short_name] = definition["spec"]["names"]["shortNames"]
    apiserver(
        "create", f"--namespace={namespace}", "--filename=-", manifests=yaml.dump(a_manifest(definition))
    )
    found = apiserver("get", short_name, f"--namespace={namespace}", "--output=name")
    assert found.startswith(f"{definition['spec']['names']['singular']}.emailflow.dev/")


@BY_PLURAL
def test_an_object_is_found_by_kind_and_name(apiserver, namespace, definition):
    """A category of that name would be taken for a list of all kinds, which no name can follow."""
    manifest = a_manifest(definition)
    where = f"--namespace={namespace}"
    apiserver("create", where, "--filename=-", manifests=yaml.dump(manifest))
    kind, name = manifest["kind"].lower(), manifest["metadata"]["name"]
    assert apiserver("get", kind, name, where, "--output=name").strip() == f"{kind}.emailflow.dev/{name}"
    apiserver("describe", kind, name, where)
    apiserver("delete", kind, name, where)


def test_the_kinds_have_a_category_and_deleting_flows_deletes_nothing_else(apiserver, namespace):
    where = f"--namespace={namespace}"
    for definition in DEFINITIONS:
        apiserver("create", where, "--filename=-", manifests=yaml.dump(a_manifest(definition)))
    assert len(apiserver("get", "emailflow-all", where, "--output=name").split()) == len(DEFINITIONS)
    apiserver("delete", "emailflow", "--all", where)
    left = apiserver("get", "emailflow-all", where, "--output=name").split()
    assert len(left) == len(DEFINITIONS) - 1
    assert not [each for each in left if each.startswith("emailflow.emailflow.dev/")]


@BY_PLURAL
@pytest.mark.parametrize("side", ["client", "server"])
def test_applying_twice_changes_nothing(apiserver, namespace, definition, side):
    manifest = yaml.dump(a_manifest(definition))
    where = (f"--namespace={namespace}", "--filename=-")
    command = ("apply", f"--server-side={'true' if side == 'server' else 'false'}", *where)
    apiserver(*command, manifests=manifest)
    before = json.loads(apiserver("get", *where, "--output=json", manifests=manifest))
    said = apiserver(*command, manifests=manifest)
    after = json.loads(apiserver("get", *where, "--output=json", manifests=manifest))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    if side == "client":  # on the server's side kubectl always says `serverside-applied`
        assert said.rstrip().endswith(" unchanged")
