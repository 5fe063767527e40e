"""The reference of reasons has every word that admission and injection say."""

import re
from pathlib import Path

from emailflow_operator import admission, injection
from emailflow_operator.admission.judgement import SELF_EVIDENT

PAGE = (Path(__file__).parents[3] / "docs/reference/reasons.md").read_text()
HOW_TO = (Path(__file__).parents[3] / "docs/how-to/admission.md").read_text()
REASON = re.compile(r'(?:reason|INCOMPATIBLE) = "(\w+)"')


def test_every_reason_is_in_the_reference():
    folders = [Path(package.__path__[0]) for package in (admission, injection)]
    said = {
        word
        for folder in folders
        for file in folder.rglob("*.py")
        for word in REASON.findall(file.read_text())
    }
    assert "IncompatibleSchema" in said
    assert {word for word in said if f"`{word}`" not in PAGE} == set()


def test_the_how_to_says_what_is_refused():
    refused = HOW_TO.partition("**Refused**")[2].partition("**Warned**")[0]
    words = set(re.findall(r"`([A-Z]\w+)`", refused))
    parsing = {"UnknownKind", "UnknownField", "MissingField", "InvalidValue"}
    assert words == SELF_EVIDENT | parsing | {"IncompatibleSchema"}
