"""Fixtures of the API's tests: the definitions as a cluster gets them, and manifests that use every field."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from emailflow_api.kinds import RESOURCES
from emailflow_api.structural.crd import custom_resource_definition

MANIFESTS = Path(__file__).parent / "manifests"


class Node(NamedTuple):
    """One node of a definition's schema, `spec.steps[].send` being its path."""

    path: str
    schema: dict[str, Any]
    below_list: bool


def _nodes(schema: dict[str, Any], path: str, below_list: bool) -> Iterator[Node]:
    yield Node(path, schema, below_list)
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}".removeprefix("."), below_list)
    if "items" in schema:
        yield from _nodes(schema["items"], f"{path}[]", True)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _nodes(schema["additionalProperties"], f"{path}{{}}", below_list)


@pytest.fixture(scope="session")
def definitions() -> dict[str, dict[str, Any]]:
    """Kind -> its CustomResourceDefinition."""
    return {name: custom_resource_definition(kind) for name, kind in RESOURCES.items()}


@pytest.fixture(params=RESOURCES)
def nodes(request: pytest.FixtureRequest, definitions: dict[str, dict[str, Any]]) -> list[Node]:
    """Every node of one definition's schema; a test that asks for it runs once per kind."""
    version = definitions[request.param]["spec"]["versions"][0]
    return list(_nodes(version["schema"]["openAPIV3Schema"], "", below_list=False))


@pytest.fixture
def manifest() -> Callable[[str], dict[str, Any]]:
    """Reads one of the manifests beside the tests, by its name."""

    def read(name: str) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text())
        return document

    return read
