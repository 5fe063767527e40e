"""What the plugin asks kubectl for where only a kubelet could answer, and how it completes words."""

import json

import pytest
from typer.testing import CliRunner

from emailflow_cli.kubectl_complete import completions
from emailflow_cli.kubectl_plugin import counts, plugin

PODS = {
    "items": [
        {"metadata": {"name": "starting", "namespace": "mail"}, "status": {"phase": "Pending"}},
        {"metadata": {"name": "old", "namespace": "mail"}, "status": {"phase": "Running", "conditions": []}},
        {
            "metadata": {"name": "ready", "namespace": "mail"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        },
    ]
}
KUBECTL = """#!/bin/sh
printf '%s\\n' "$*" >> {folder}/asked
case "$*" in *"get pods"*) cat {folder}/pods;; esac
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Runs the plugin with a program in kubectl's place; its end, and what it was asked for."""
    (tmp_path / "pods").write_text(json.dumps(PODS))

    def run(*arguments):
        program = tmp_path / "kubectl"
        program.write_text(KUBECTL.format(folder=tmp_path))
        program.chmod(0o755)
        monkeypatch.setenv("KUBECTL", str(program))
        result = CliRunner().invoke(plugin, list(arguments))
        return result.exit_code, (tmp_path / "asked").read_text().splitlines()

    return run


def test_dead_letters_run_in_a_ready_pod_with_every_word_passed_on(asked):
    code, (_, run) = asked("dead-letters", "-n", "mail", "redrive", "--reason", "NoContact", "--flow", "a/b")

    assert code == 0
    assert run == (
        "--namespace=mail exec pod/ready --container=runtime -- "
        "emailflow dead-letters redrive --reason NoContact --flow a/b"
    )


def test_help_is_asked_for_inside(asked):
    _, (_, run) = asked("replay", "-n", "mail", "--runtime", "eu", "--help")

    assert run.endswith("-- emailflow replay --help")


def test_pods_are_found_by_the_runtime_s_labels(asked):
    _, (get, _) = asked("replay", "-n", "mail", "--runtime", "eu", "--flow", "a/b", "--since", "PT1H")

    assert get == (
        "--namespace=mail get pods "
        "--selector=app.kubernetes.io/name=emailflow-runtime,emailflow.dev/runtime=eu --output=json"
    )


def test_a_token_is_asked_for_with_the_audience_of_the_pods_runtime(asked):
    """The namespace is the pod's: kubectl's own may come from its context."""
    _, words = asked("events", "send", "com.example.a", "--runtime", "eu", "--service-account", "shop")

    assert "create token shop --audience=emailflow/mail/eu" in words


def test_logs_are_those_of_all_pods(asked):
    _, (run,) = asked("logs", "-n", "mail", "-f", "--since", "5m")

    assert run.startswith("--namespace=mail logs --selector=app.kubernetes.io/name=emailflow-runtime")
    assert run.endswith("--prefix --tail=200 --max-log-requests=100 --follow --since=5m")


def test_a_kubectl_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setenv("KUBECTL", "/nowhere/kubectl")

    result = CliRunner().invoke(plugin, ["status"])

    assert result.exit_code == 1
    assert "KubectlFailed" in result.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["dead-letters", "events", "logs", "replay", "resume", "status", "suspend", "why"]),
        (("ev",), ["events"]),
        (("events", ""), ["send"]),
        (("status", "--al"), ["--all-namespaces"]),
        (("nonsense", "lo"), ["logs"]),
    ],
)
def test_words_are_completed(words, expected):
    assert [each.partition("\t")[0] for each in completions(words)] == expected


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({}, ""),
        ({"journeys": 0}, ""),
        ({"replicas": 2, "readyReplicas": 1, "flows": 7}, "7 flows, 1/2 pods"),
    ],
)
def test_counts_are_words(status, words):
    assert counts(status) == words
