"""`emailflow lint` says what a cluster would, reads FlowTests, and tries templates with their samples."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path):
    """The example, to be changed."""
    return Path(shutil.copytree(ROOT / "examples/onboarding", tmp_path / "onboarding"))


def lint(folder):
    command = [sys.executable, "-m", "emailflow_cli", "lint", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def change(folder, name, old, new):
    file = folder / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_example_is_fine_and_its_tests_are_read(folder):
    answer = lint(folder)
    assert answer.returncode == 0, answer.stderr
    assert "1 FlowTests (read, not run): fine" in answer.stdout


def test_a_provider_that_a_cluster_refuses_is_refused(folder):
    change(folder, "1-platform.yaml", "type: Smtp", "type: Ses")
    change(
        folder,
        "1-platform.yaml",
        "smtp: {host: smtp.example.com, port: 587, tls: StartTls}",
        "ses: {region: eu}",
    )
    answer = lint(folder)
    assert answer.returncode == 1
    assert "NotSupportedYet" in answer.stderr


def test_a_wrong_letter_in_a_template_with_a_sample_is_an_error(folder):
    (folder / "more.yaml").write_text(
        "apiVersion: emailflow.dev/v1alpha1\nkind: EmailTemplate\nmetadata: {name: more}\n"
        'spec: {subject: Hi, markdown: "{{ contcat.name }}", sample: {contact: {name: Ana}}}\n'
    )
    answer = lint(folder)
    assert answer.returncode == 1
    assert (
        "spec.markdown: line 1: no mail has `contcat` (expected contact) [UnknownVariable]" in answer.stderr
    )
    assert "EmailTemplate/default/more: spec.sample:" in answer.stderr
    assert "[UndefinedVariable]" in answer.stderr


def test_a_template_that_never_ends_ends_lint_not(folder):
    (folder / "more.yaml").write_text(
        "apiVersion: emailflow.dev/v1alpha1\nkind: EmailTemplate\nmetadata: {name: more}\n"
        "spec: {subject: Hi, sample: {now: x}, markdown: "
        '"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"}\n'
    )
    (folder / "more.yaml").write_text(
        (folder / "more.yaml").read_text().replace("sample: {}", "sample: {now: x}")
    )
    answer = lint(folder)
    assert answer.returncode == 1
    assert "TemplateTimeout" in answer.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("flow: onboarding", "flow: onbording", "FlowNotFound"),
        ("kind: FlowTest", "kind: FlowTets", "UnknownKind"),
        ("given:", "givn:", "UnknownField"),
    ],
)
def test_a_flow_test_is_judged(folder, old, new, said):
    change(folder, "tests/leaves.yaml", old, new)
    answer = lint(folder)
    assert answer.returncode == 1
    assert f"[{said}]" in answer.stderr
