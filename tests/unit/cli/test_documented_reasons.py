"""The reasons that the command line gives stand in the reference."""

from pathlib import Path

from emailflow_cli.kubectl import KubectlFailed
from emailflow_cli.why import NothingKnown
from emailflow_runtime.app.redrive import RedriveRefused
from emailflow_runtime.app.replay import ReplayRefused

PAGE = Path(__file__).parents[3] / "docs/reference/reasons.md"


def test_every_reason_is_in_the_reference():
    section = PAGE.read_text().partition("## The command line")[2].partition("\n## ")[0]
    named = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}

    assert named == {each.reason for each in (KubectlFailed, NothingKnown, RedriveRefused, ReplayRefused)}
