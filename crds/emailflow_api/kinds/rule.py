"""Rules that a type alone can't say, each written once for both judges.

The API server evaluates `cel` (x-kubernetes-validations), this package evaluates `holds`; both refuse
with the same message, and fixtures in tests/integration/kubernetes/rules keep the two equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Rule:
    """A condition on `self`, for a model's `rules` or as the annotation of a field (after its `Field`).

    `holds` None: a transition rule (it looks at `oldSelf`), which a single document can't break.
    `field_path` is where the API server reports it, relative to `self` (`.shards`).
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None
    field_path: str = ""

    def as_validation(self) -> dict[str, str]:
        """One entry of x-kubernetes-validations."""
        entry = {"rule": self.cel, "message": self.message}
        if self.field_path:
            entry["fieldPath"] = self.field_path
        return entry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        schema["x-kubernetes-validations"] = [
            *schema.get("x-kubernetes-validations", ()),
            self.as_validation(),
        ]
        return schema

    def _check(self, value: Any) -> Any:
        if self.holds is not None and not self.holds(value):
            raise ValueError(self.message)
        return value


def unique(key: str, message: str) -> Rule:
    """No two items of an ordered list have the same `key`."""
    return Rule(
        cel=f"self.all(x, self.exists_one(y, y.{key} == x.{key}))",
        message=message,
        holds=lambda items: len({getattr(item, key) for item in items}) == len(items),
    )


@dataclass(frozen=True)
class KeyedBy:
    """An unordered list whose items are told apart by `key` (x-kubernetes-list-type: map)."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        schema.update({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]})
        return schema

    def _check(self, items: Sequence[Any]) -> Sequence[Any]:
        seen: set[str] = set()
        for item in items:
            value = getattr(item, self.key)
            if value in seen:
                raise ValueError(f"there are two items whose {self.key} is {value}")
            seen.add(value)
        return items
