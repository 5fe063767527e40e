"""The generated files that are committed are the ones that the models give."""

from pathlib import Path

import pytest
import yaml

from emailflow_cli import generate

ROOT = Path(__file__).parents[3]
LARGEST = 262_144
"""Annotations of an object together (Kubernetes); `kubectl apply` keeps a whole definition in one."""


@pytest.fixture
def tree(tmp_path):
    generate.write(tmp_path)
    return tmp_path


def test_the_committed_files_are_up_to_date():
    assert generate.differences(ROOT) == {}


def test_writing_makes_them_up_to_date(tree):
    assert generate.differences(tree) == {}


def test_an_edited_a_missing_and_a_left_over_file_are_told_apart(tree):
    flow = tree / "crds/emailflow.dev_emailflows.yaml"
    flow.write_text(flow.read_text().replace("shortNames", "names"))
    (tree / "docs/reference/api.md").unlink()
    (tree / "schemas/emailflow.dev/newsletter_v1alpha1.json").write_text("{}")
    assert generate.differences(tree) == {
        "crds/emailflow.dev_emailflows.yaml": "differs",
        "docs/reference/api.md": "missing",
        "schemas/emailflow.dev/newsletter_v1alpha1.json": "left over",
    }


def test_writing_removes_what_is_left_over(tree):
    (tree / "crds/emailflow.dev_newsletters.yaml").write_text("{}")
    generate.write(tree)
    assert not (tree / "crds/emailflow.dev_newsletters.yaml").exists()


def test_check_writes_nothing_and_says_what_differs(tree, monkeypatch, capsys):
    page = tree / "docs/reference/api.md"
    page.write_text("old")
    monkeypatch.chdir(tree)
    assert generate.main(["--check"]) == 1
    assert page.read_text() == "old"
    assert "docs/reference/api.md: differs" in capsys.readouterr().err


def test_check_is_content_with_what_was_written(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert generate.main(["--check"]) == 0


def test_each_definition_fits_into_an_annotation():
    files = {name: text for name, text in generate.generated().items() if name.startswith("crds/")}
    assert len(files) == 6
    assert not {name for name, text in files.items() if len(text.encode()) >= LARGEST}


def test_definitions_hold_no_yaml_anchors():
    for name, text in generate.generated().items():
        if name.startswith("crds/"):
            assert not [t for t in yaml.scan(text) if isinstance(t, yaml.AliasToken)], name


def test_schemas_of_editors_are_laid_out_by_group_kind_and_version():
    names = {name for name in generate.generated() if name.startswith("schemas/")}
    assert "schemas/emailflow.dev/emailflow_v1alpha1.json" in names
    assert "schemas/emailflow.dev/flowtest_v1alpha1.json" in names


def test_the_reference_links_to_sections_that_exist():
    page = generate.generated()["docs/reference/api.md"]
    sections = {line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")}
    targets = {part.split(")")[0] for part in page.split("](#")[1:]}
    assert targets
    assert targets <= sections
