"""Where steps lead: what doesn't exist is an error, what surprises is a warning."""

import pytest

BRANCH = "{name: b, branch: {cases: [{when: 'true', then: pro}], otherwise: free}}"
PRO, FREE = "{name: pro, wait: {for: PT1H}}", "{name: free, wait: {for: PT1H}}"


def steps(sound, *lines):
    return sound["flow"].partition("    - ")[0] + "".join(f"    - {line}\n" for line in lines)


@pytest.fixture
def findings(compile_text, sound):
    def compile_steps(*lines):
        found = compile_text(flow=steps(sound, *lines)).findings
        return [(each.reason, each.path) for each in found]

    return compile_steps


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ("{name: a, wait: {for: PT1H}, next: nope}", "next"),
        ("{name: a, branch: {cases: [{when: 'true', then: nope}]}}", "branch.cases[0].then"),
        ("{name: a, branch: {cases: [{when: 'true', then: end}], otherwise: nope}}", "branch.otherwise"),
    ],
)
def test_a_target_that_is_not_there(findings, step, path):
    assert findings(step) == [("StepNotFound", f"spec.steps[0].{path}")]


def test_targets_of_steps_that_come_later_are_judged_too(findings):
    wait = "{name: a, waitFor: {any: [{types: [x.y], then: nope}], timeout: P1D, onTimeout: gone}}"
    assert findings(wait)[:2] == [
        ("StepNotFound", "spec.steps[0].waitFor.any[0].then"),
        ("StepNotFound", "spec.steps[0].waitFor.onTimeout"),
    ]


def test_a_step_that_only_unreachable_steps_lead_to_is_unreachable(findings):
    jump = "{name: a, wait: {for: PT1H}, next: end}"
    assert findings(jump, PRO, FREE) == [
        ("Unreachable", "spec.steps[1]"),
        ("Unreachable", "spec.steps[2]"),
    ]


def test_a_step_that_runs_on_into_another_way_out_of_its_branch(findings):
    assert findings(BRANCH, PRO, FREE) == [("FallsThrough", "spec.steps[1]")]


def test_also_when_more_steps_lie_between(findings):
    more = "{name: more, wait: {for: PT1H}}"
    assert findings(BRANCH, PRO, more, FREE) == [("FallsThrough", "spec.steps[2]")]


@pytest.mark.parametrize("target", ["end", "free"])
def test_who_says_where_to_go_on_is_not_warned(findings, target):
    assert findings(BRANCH, PRO[:-1] + f", next: {target}}}", FREE) == []


def test_a_loop_is_no_surprise(findings):
    assert (
        findings("{name: a, wait: {for: PT1H}}", "{name: b, branch: {cases: [{when: 'true', then: a}]}}")
        == []
    )
