"""Every manifest that a page shows is one that the API takes."""

import re
from pathlib import Path

import pytest

from emailflow_api.kinds import parse
from emailflow_api.reading import Document, read_documents

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```yaml[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
SAMPLES = [
    document
    for page in PAGES
    for text in BLOCK.findall(page.read_text())
    for document in read_documents(text, page.name)
    if document.api_version.startswith("emailflow.dev/")
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda each: f"{each.source}-{each.kind}")
def test_a_sample_is_a_resource(sample: Document) -> None:
    parse(sample.value)


def test_the_readme_has_a_flow() -> None:
    assert any(sample.source == "README.md" and sample.kind == "EmailFlow" for sample in SAMPLES)
