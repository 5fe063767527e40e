"""Two who manage one flow never make a program that neither of them wrote.

Lists whose order is a program are atomic: the second manager is told of the conflict, or replaces the whole.
"""

import json
from typing import Any

import pytest
import yaml

FIRST = {"name": "first", "send": {"templateRef": {"name": "hello"}}}
SECOND = {"name": "second", "wait": {"for": "PT1H"}}
STAFF = {"cel": "event.data.plan != 'internal'"}
SHOP = {"exact": {"source": "/shop"}}


def flow(steps: list[Any], filters: list[Any]) -> str:
    trigger = {"types": ["com.example.signed_up"], "filters": filters}
    return yaml.safe_dump(
        {
            "apiVersion": "emailflow.dev/v1alpha1",
            "kind": "EmailFlow",
            "metadata": {"name": "hello"},
            "spec": {"trigger": trigger, "steps": steps},
        }
    )


class Managers:
    """Server-side apply by somebody, and the flow as it is then."""

    def __init__(self, kubectl: Any, namespace: str) -> None:
        self._kubectl = kubectl
        self._namespace = f"--namespace={namespace}"

    def apply(self, manager: str, text: str, *options: str) -> Any:
        command = ("apply", "--server-side", self._namespace, f"--field-manager={manager}", "--filename=-")
        return self._kubectl.run(*command, *options, manifests=text)

    def spec(self) -> Any:
        return json.loads(self._kubectl("get", "ef", "hello", self._namespace, "-o=json"))["spec"]


@pytest.fixture
def managers(apiserver: Any, namespace: str) -> Managers:
    return Managers(apiserver, namespace)


@pytest.mark.parametrize(
    ("steps", "filters", "field"),
    [([SECOND], [STAFF], ".spec.steps"), ([FIRST], [SHOP], ".spec.trigger.filters")],
    ids=["steps", "filters"],
)
def test_a_second_manager_with_another_program_is_refused(
    steps: list[Any], filters: list[Any], field: str, managers: Managers
) -> None:
    assert managers.apply("ana", flow([FIRST], [STAFF])).returncode == 0
    answer = managers.apply("ben", flow(steps, filters))
    assert answer.returncode == 1
    assert "conflict" in answer.stderr
    assert field in answer.stderr
    assert "ana" in answer.stderr
    spec = managers.spec()
    assert (spec["steps"], spec["trigger"]["filters"]) == ([FIRST], [STAFF])


def test_who_forces_replaces_the_whole_program(managers: Managers) -> None:
    assert managers.apply("ana", flow([FIRST], [STAFF])).returncode == 0
    assert managers.apply("ben", flow([SECOND], [SHOP]), "--force-conflicts").returncode == 0
    spec = managers.spec()
    assert (spec["steps"], spec["trigger"]["filters"]) == ([SECOND], [SHOP])
    assert managers.apply("ana", flow([FIRST], [STAFF])).returncode == 1


def test_two_managers_who_say_the_same_share_it(managers: Managers) -> None:
    for manager in ("ana", "ben"):
        assert managers.apply(manager, flow([FIRST, SECOND], [STAFF])).returncode == 0
    assert managers.spec()["steps"] == [FIRST, SECOND]
