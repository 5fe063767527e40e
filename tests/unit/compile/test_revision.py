"""A revision names what a flow does: nothing else about it may change the revision (DESIGN section 3)."""

import pytest


def revision(compilation):
    return compilation.plans.flows["default/welcome"].revision


@pytest.mark.parametrize(
    ("which", "old", "new"),
    [
        ("flow", "spec:\n", "spec:\n  suspend: true\n"),
        ("flow", "  policyRef: {name: offers}\n", ""),
        ("template", "<p>Hello</p>", "<p>Good day</p>"),
        ("policy", "topic: offers", "topic: offers, consent: OptIn"),
        ("flow", "types: [", "reentry: Once, types: ["),
    ],
    ids=["suspend", "another policy", "template", "a policy's own change", "reentry"],
)
def test_what_is_no_program_keeps_the_revision(compile_text, sound, which, old, new):
    changed = sound[which].replace(old, new, 1)
    assert changed != sound[which]
    assert revision(compile_text(**{which: changed})) == revision(compile_text())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  steps:\n", "  steps:\n    - {name: pause, wait: {for: PT1H}}\n"),
        ("templateRef:", "skipIf: \"contact.traits.plan == 'pro'\", templateRef:"),
        ("types: [", "key: event.data.cart, types: ["),
        ("name: greet", "name: meet"),
    ],
    ids=["a step more", "an expression", "the key", "a step's name"],
)
def test_a_change_of_the_program_is_a_new_revision(compile_text, sound, old, new):
    changed = sound["flow"].replace(old, new, 1)
    assert revision(compile_text(flow=changed)) != revision(compile_text())


def test_the_revision_leads_to_the_program(compile_text):
    plans = compile_text().plans
    assert [step.name for step in plans.programs[revision(compile_text())].steps] == ["greet"]
