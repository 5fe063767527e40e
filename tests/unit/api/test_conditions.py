"""Conditions: what kstatus makes of each verdict, and that repeating one changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.conditions import Statement, ready, reconciling, revise, stalled, waiting

THEN, NOW = "2026-01-05T09:00:00Z", "2026-01-05T10:00:00Z"
VERDICTS = {
    "Current": ready("Succeeded", "Serving."),
    "InProgress": reconciling("Progressing", "Waiting for the runtime."),
    "Failed": stalled("ShardsDiffer", "The stream has 2 shards."),
}


def kstatus(conditions):
    """The order in which kstatus judges an object whose generation is observed."""
    status = {condition.type: condition.status for condition in conditions}
    if status.get("Reconciling") == "True":
        return "InProgress"
    if status.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if status.get("Ready") in {"False", "Unknown"} else "Current"


@pytest.mark.parametrize("expected", VERDICTS)
def test_kstatus_reads_the_verdict_as_meant(expected):
    assert kstatus(revise([], VERDICTS[expected], generation=1, now=NOW)) == expected


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_what_heals_by_itself_is_in_progress(status):
    verdict = waiting("NatsUnreachable", "No server answers.", status=status)
    assert kstatus(revise([], verdict, generation=1, now=NOW)) == "InProgress"


@pytest.mark.parametrize("verdict", [*VERDICTS.values(), waiting("TemplateNotFound", "No such template.")])
def test_ready_is_always_said(verdict):
    assert [statement.type for statement in verdict].count("Ready") == 1


def test_a_changed_status_gets_the_new_time():
    before = revise([], VERDICTS["Failed"], generation=1, now=THEN)
    after = revise(before, VERDICTS["Current"], generation=2, now=NOW)
    assert [(c.type, c.last_transition_time) for c in after] == [("Ready", NOW)]


def test_another_reason_or_message_keeps_the_time():
    before = revise([], waiting("TemplateNotFound", "No `a`."), generation=1, now=THEN)
    [after] = revise(before, waiting("PolicyNotFound", "No `b`."), generation=2, now=NOW)
    assert (after.last_transition_time, after.reason, after.observed_generation) == (
        THEN,
        "PolicyNotFound",
        2,
    )


def test_conditions_that_no_longer_hold_are_gone():
    before = revise([], VERDICTS["InProgress"], generation=1, now=THEN)
    after = revise(before, VERDICTS["Current"], generation=1, now=NOW)
    assert [condition.type for condition in after] == ["Ready"]


def test_a_message_is_cut_to_what_kubernetes_takes():
    [condition] = revise([], waiting("Failed", "x" * 40_000), generation=1, now=NOW)
    assert len(condition.message) == 32_768


verdicts = st.lists(
    st.builds(
        Statement,
        st.sampled_from(["Ready", "Reconciling", "Stalled"]),
        st.sampled_from(["True", "False", "Unknown"]),
        st.sampled_from(["Succeeded", "Progressing"]),
        st.text(max_size=20),
    ),
    unique_by=lambda statement: statement.type,
)


@given(first=verdicts, second=verdicts)
def test_the_same_verdict_again_changes_nothing(first, second):
    before = revise([], first, generation=1, now=THEN)
    once = revise(before, second, generation=2, now=NOW)
    assert revise(once, second, generation=2, now="2026-01-05T11:00:00Z") == once
