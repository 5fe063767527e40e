"""Which namespaces' flows an EmailRuntime takes."""

import pytest


def flow_elsewhere(sound):
    return (
        sound["flow"]
        .replace("{name: welcome}", "{name: welcome, namespace: shop}")
        .replace("spec:\n", "spec:\n  runtimeRef: {name: default, namespace: default}\n", 1)
        + "---\n"
        + sound["template"].replace("{name: hello}", "{name: hello, namespace: shop}")
    )


@pytest.mark.parametrize(
    ("allowed", "labels", "taken"),
    [
        ("{from: Same}", "{mail: 'yes'}", False),
        ("{from: All}", "{}", True),
        ("{from: Selector, selector: {matchLabels: {mail: 'yes'}}}", "{mail: 'yes'}", True),
        ("{from: Selector, selector: {matchLabels: {mail: 'yes'}}}", "{mail: 'no'}", False),
        ("{from: Selector, selector: {matchLabels: {mail: 'yes'}}}", "{}", False),
    ],
)
def test_a_runtime_takes_flows_of_allowed_namespaces(compile_text, sound, allowed, labels, taken):
    runtime = sound["runtime"].replace("spec: {", f"spec: {{allowedNamespaces: {allowed}, ")
    namespace = f"---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {labels}}}\n"
    shared = {
        "event": sound["event"].replace("spec: {", "spec: {readers: {from: All}, "),
        "policy": sound["policy"].replace("spec: {", "spec: {users: {from: All}, "),
    }
    found = compile_text(runtime=runtime, flow=flow_elsewhere(sound), extra=namespace, **shared)
    assert ("shop/welcome" in found.plans.flows) is taken
    assert [each.reason for each in found.findings] == ([] if taken else ["NotAllowed"])
    # The receiver lets their ServiceAccounts in, and no others.
    named = found.plans.runtime.namespaces
    assert ("shop" in named or "*" in named) is taken
    assert "default" in named or "*" in named


def test_nothing_of_a_flow_that_may_not_come_in_is_looked_at(compile_text, sound):
    flow = flow_elsewhere(sound).replace("  trigger:", "  continueIf: 'not CEL at all ('\n  trigger:", 1)
    found = compile_text(flow=flow)
    assert [each.reason for each in found.findings] == ["NotAllowed"]
