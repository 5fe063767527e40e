"""The reference of reasons and the operator's code say the same."""

import re
from pathlib import Path

from emailflow_operator import errors
from emailflow_operator.reconcile import reasons

PAGE = (Path(__file__).parents[3] / "docs/reference/reasons.md").read_text()
SECTION = PAGE.partition("## Conditions and Events")[2].partition("\n## ")[0]
FINDINGS = PAGE.partition("## Findings")[2].partition("\n## ")[0]
TABLE = {
    line.split("|")[1].strip(" `"): line.split("|")[2].strip()
    for line in SECTION.splitlines()
    if "| `" in line
}


def test_the_table_is_the_codes() -> None:
    assert reasons.CONDITIONS == TABLE


def test_every_error_of_the_operator_is_in_the_reference() -> None:
    raised = {each.reason for each in vars(errors).values() if isinstance(each, type)}
    assert "LeaseLost" in raised
    assert {reason for reason in raised if f"`{reason}`" not in SECTION} == set()


def test_findings_that_others_can_mend_are_findings() -> None:
    assert {reason for reason in reasons.WAITING if f"`{reason}`" not in FINDINGS} == set()


def test_reasons_are_words_that_conditions_take() -> None:
    assert all(re.fullmatch(r"([A-Z][a-z0-9]*)+", reason) for reason in reasons.CONDITIONS)
