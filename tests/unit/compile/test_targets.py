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


SEND = "send: {templateRef: {name: hello}}"
A, A_AGAIN = f"{{name: a, {SEND}}}", f"{{name: a, {SEND}, next: a}}"
B_TO_A = f"{{name: b, {SEND}, next: a}}"
LOOPS = {
    "of one send": ([A_AGAIN], "a -> a"),
    "of two sends": ([A, B_TO_A], "a -> b -> a"),
    "by a branch": (
        [A, "{name: b, branch: {cases: [{when: 'true', then: a}], otherwise: end}}"],
        "a -> b -> a",
    ),
    "of a wait for no time": (
        [A, "{name: b, wait: {for: PT0S}, next: a}"],
        "a -> b -> a",
    ),
    "of no days at all": ([A, "{name: b, wait: {for: P0D}, next: a}"], "a -> b -> a"),
    "of a condition that may hold already": (
        ["{name: a, waitFor: {any: [{condition: 'true', then: b}], timeout: P1D, onTimeout: end}}", B_TO_A],
        "a -> b -> a",
    ),
    "of a time-out at once": (
        ["{name: a, waitFor: {any: [{types: [x.y], then: end}], timeout: PT0S, onTimeout: a}}"],
        "a -> a",
    ),
    "behind the first step": (
        ["{name: w, wait: {for: P1D}}", A_AGAIN],
        "a -> a",
    ),
}


@pytest.mark.parametrize(("lines", "way"), LOOPS.values(), ids=LOOPS.keys())
def test_a_loop_on_which_nothing_waits_is_refused_with_its_way(compile_text, sound, lines, way):
    found = compile_text(flow=steps(sound, *lines))
    loops = [each for each in found.findings if each.reason == "LoopWithoutWait"]
    assert [each.message for each in loops] == [f"nothing waits on the way {way}"]
    assert found.plans.flows == {}


@pytest.mark.parametrize(
    "lines",
    [
        [A, "{name: b, wait: {for: P1D}, next: a}"],
        [A, "{name: b, wait: {until: {time: '10:00'}}, next: a}"],
    ],
)
def test_a_loop_on_which_something_waits_is_fine(findings, lines):
    assert findings(*lines) == []


def test_a_wait_for_an_event_is_a_wait(findings):
    wait = "{name: w, waitFor: {any: [{types: [com.example.joined], then: a}], timeout: P1D}}"
    found = findings(A, wait)
    assert "LoopWithoutWait" not in [reason for reason, _ in found]
