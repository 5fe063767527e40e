"""The table of findings in the reference and the reasons that the code can emit are the same."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = [
    file.read_text(encoding="utf-8")
    for folder in (
        "crds/emailflow_api",
        "runtime/emailflow_runtime/wiring",
        "operator/emailflow_operator/control",
    )
    for file in sorted((ROOT / folder).rglob("*.py"))
]
EMITTED = re.compile(r"""(?:report\.(?:error|warn|warning)\(|Severity\.\w+,)\s*"([A-Z][A-Za-z]+)",""")


def documented():
    page = (ROOT / "docs" / "reference" / "reasons.md").read_text(encoding="utf-8")
    table = page.partition("## Findings")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {reason for cell in cells for reason in re.findall(r"`(\w+)`", cell)}


def test_every_reason_that_the_code_gives_is_in_the_reference():
    given = {reason for text in SOURCES for reason in EMITTED.findall(text)}
    assert "DuplicateObject" in given
    assert given - documented() == set()


def test_every_reason_in_the_reference_is_one_that_the_code_gives():
    quoted = {word for text in SOURCES for word in re.findall(r'"([A-Z][A-Za-z]+)"', text)}
    assert documented() - quoted == set()
