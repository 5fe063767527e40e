"""Every rule in the definitions has a pair of fixtures, and the models judge them like the API server.

The API server judges the same files in tests/integration/kubernetes.
"""

from pathlib import Path

import pytest
import yaml

from emailflow_api.kinds import InvalidResource, parse

RULES = Path(__file__).parents[2] / "integration/kubernetes/rules"
PAIRS = sorted(path.parent for path in RULES.glob("*/*/refused.yaml"))
MARK = "# expect: "
TRANSITIONS = {"shards-stay", "type-stays"}
"""Rules about a change; a single document can't break them."""


def expectation(pair):
    first, _, _ = (pair / "refused.yaml").read_text().partition("\n")
    assert first.startswith(MARK), f"{pair.name}/refused.yaml begins with `{MARK}<words of the message>`"
    return first.removeprefix(MARK)


def messages(schema):
    if isinstance(schema, dict):
        yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
        children = schema.values()
    else:
        children = schema if isinstance(schema, list) else ()
    for child in children:
        yield from messages(child)


def test_every_rule_has_a_pair_of_fixtures(definitions):
    for kind, definition in definitions.items():
        expected = [expectation(pair) for pair in PAIRS if pair.parent.name == kind.lower()]
        for message in messages(definition["spec"]["versions"][0]["schema"]):
            assert [words for words in expected if words in message], f"{kind}: no fixtures for: {message}"


def test_every_pair_of_fixtures_has_a_rule(definitions):
    known = {kind.lower(): list(messages(definition)) for kind, definition in definitions.items()}
    for pair in PAIRS:
        matching = {message for message in known[pair.parent.name] if expectation(pair) in message}
        assert len(matching) == 1, f"{pair.parent.name}/{pair.name} should name one rule"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.parent.name}-{pair.name}")
def test_the_models_accept_what_a_rule_accepts(pair):
    for document in yaml.safe_load_all((pair / "accepted.yaml").read_text()):
        assert parse(document).kind.lower() == pair.parent.name


@pytest.mark.parametrize(
    "pair",
    [pair for pair in PAIRS if pair.name not in TRANSITIONS],
    ids=lambda pair: f"{pair.parent.name}-{pair.name}",
)
def test_the_models_refuse_what_a_rule_refuses(pair):
    [document] = yaml.safe_load_all((pair / "refused.yaml").read_text())
    with pytest.raises(InvalidResource) as refusal:
        parse(document)
    [finding] = refusal.value.findings
    if finding.path != "metadata.name":
        assert expectation(pair) in str(finding)
