"""A first `kubectl apply` of an example, file by file as kubectl sends them, warns of nothing.

A warning that every good installation prints is one that nobody reads.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from emailflow_operator.admission.judgement import judge

EXAMPLES = sorted(path for path in (Path(__file__).parents[3] / "examples").iterdir() if path.is_dir())


TRUE_ANYWAY = (("1-platform.yaml", "EmailRuntime/default/default", "PublicUrlMissing"),)
"""No default can know the address under which a runtime is reached, and mails go out without links."""


class Applied:
    """What was applied until now."""

    def __init__(self) -> None:
        self._objects: list[Mapping[str, Any]] = []

    def add(self, value: Mapping[str, Any]) -> None:
        self._objects.append(value)

    def of(self, kind: str, namespace: str | None = None) -> Iterable[Mapping[str, Any]]:
        return [each for each in self._objects if each["kind"] == kind]

    def get(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        return next((each for each in self.of(kind) if each["metadata"]["name"] == name), None)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_applied_in_an_order_that_warns_of_nothing(example: Path) -> None:
    applied, said = Applied(), []
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    applied.add(namespace)
    for file in sorted(example.glob("*.yaml")):
        for value in yaml.safe_load_all(file.read_text()):
            value["metadata"]["namespace"] = "default"
            judgement = judge(value, None, applied)
            assert judgement.refusals == ()
            said += [(file.name, each.subject, each.reason) for each in judgement.warnings]
            applied.add(value)
    assert said == [each for each in TRUE_ANYWAY if (example / each[0]).exists()]
