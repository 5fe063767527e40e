"""What is not supported yet says so in `kubectl explain`, and compile of every manifest that uses it."""

import pytest

from emailflow_api.compile import later
from emailflow_api.kinds import RESOURCES
from emailflow_api.structural.crd import custom_resource_definition

TABLES = {
    "EmailFlow": (*later.FLOW, later.MIGRATE),
    "EmailTemplate": later.TEMPLATE,
    "EmailProvider": later.PROVIDER,
    "ContactPolicy": later.POLICY,
    "EmailRuntime": later.RUNTIME,
}
STEPS = [f"spec.steps[].{member}" for member in later.STEPS.values()]
ROWS = [(kind, row.path) for kind, rows in TABLES.items() for row in rows]
ROWS += [("EmailFlow", path) for path in (*STEPS, "spec.trigger.filters[].cesql")]


@pytest.mark.parametrize(("kind", "path"), ROWS)
def test_its_description_says_so(kind, path):
    definition = custom_resource_definition(RESOURCES[kind])
    node = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for part in path.split("."):
        node = node["properties"][part.removesuffix("[]")]
        node = node["items"] if part.endswith("[]") else node
    assert "Not supported yet" in " ".join(node["description"].split())


@pytest.mark.parametrize(
    ("which", "old", "new", "reason", "path"),
    [
        (
            "policy",
            "topic: offers",
            "topic: offers, title: [{locale: en, text: x}]",
            "NotSupportedYet",
            "title",
        ),
        ("runtime", "spec: {", "spec: {readModel: {sqlite: {}}, ", "NotSupportedYet", "readModel"),
        ("runtime", "spec: {", "spec: {delivery: {mode: Capture}, ", "CapturedUnseen", "delivery.mode"),
        ("flow", "spec:\n", "spec:\n  migrate: {a: greet}\n", "NoEffect", "migrate"),
        ("flow", "  policyRef: {name: offers}\n", "", "NoPolicy", "policyRef"),
        ("provider", "host: smtp", "tls: None, host: smtp", "ClearText", "smtp.tls"),
    ],
)
def test_what_has_no_effect_is_a_warning(compile_text, sound, which, old, new, reason, path):
    assert old in sound[which]
    found = compile_text(**{which: sound[which].replace(old, new, 1)})
    assert [(each.severity.value, each.reason, each.path) for each in found.findings] == [
        ("Warning", reason, f"spec.{path}")
    ]
    assert "default/welcome" in found.plans.flows


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "LOCALHOST."])
def test_a_relay_in_the_same_pod_needs_no_tls(compile_text, sound, host):
    near = sound["provider"].replace("host: smtp.example.com", f"tls: None, host: '{host}'")
    assert compile_text(provider=near).findings == ()
