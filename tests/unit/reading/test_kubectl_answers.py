"""Reading equals what `kubectl` sends: a table of the answers of the libraries that it reads with."""

import json
from pathlib import Path
from typing import Any

import pytest

from emailflow_api.errors import InvalidYaml
from emailflow_api.reading import read_documents

TABLE = json.loads(Path(__file__).with_name("kubectl_answers.json").read_text())
ANSWERS = TABLE["cases"]
OBJECTS = [case for case in ANSWERS if "refused" in case or isinstance(case["json"], dict)]
OTHERS = [case for case in ANSWERS if case not in OBJECTS]


def typed(value: Any) -> Any:
    """A value whose equality tells 1 from true, and 1 from 1.0 where 64 bits hold it."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if isinstance(value, int | float) and abs(value) >= 2**63:
        return float(value)
    return (type(value).__name__, value)


def label(case: dict[str, Any]) -> str:
    return json.dumps(case["yaml"])


@pytest.mark.parametrize("case", OBJECTS, ids=label)
def test_an_object_is_read_as_kubectl_reads_it(case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(InvalidYaml, match=r"^probe\.yaml"):
            read_documents(case["yaml"], "probe.yaml")
    else:
        [document] = read_documents(case["yaml"], "probe.yaml")
        assert typed(document.value) == typed(case["json"])


@pytest.mark.parametrize("case", OTHERS, ids=label)
def test_a_document_that_is_no_object_is_no_resource(case: dict[str, Any]) -> None:
    if case["json"] is None:
        assert read_documents(case["yaml"], "probe.yaml") == []
    else:
        with pytest.raises(InvalidYaml, match="must be an object"):
            read_documents(case["yaml"], "probe.yaml")


@pytest.mark.parametrize("case", TABLE["streams"], ids=label)
def test_a_file_is_cut_into_documents_as_kubectl_cuts_it(case: dict[str, Any]) -> None:
    if "refused" in case or not all(isinstance(value, dict) for value in case["documents"]):
        with pytest.raises(InvalidYaml, match=r"^probe\.yaml:\d+:\d+: "):
            read_documents(case["yaml"], "probe.yaml")
    else:
        found = read_documents(case["yaml"], "probe.yaml")
        assert [typed(document.value) for document in found] == [typed(value) for value in case["documents"]]


@pytest.mark.parametrize("case", TABLE["stricter"], ids=label)
def test_what_would_lose_something_is_refused_though_kubectl_reads_it(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidYaml, match=r"^probe\.yaml:\d+:\d+: "):
        read_documents(case["yaml"], "probe.yaml")
