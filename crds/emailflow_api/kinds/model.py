"""The base of every API model: camelCase outside, nothing unknown, nothing coerced, null is absent.

A model must accept exactly what the API server accepts with the CustomResourceDefinition generated from
it, so that `emailflow lint` and `kubectl apply` agree. No model may know another kind's rules.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

from emailflow_api.kinds.rule import Rule


def _declare_constraints(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Put a model's `exactly_one` and `rules` into its JSON Schema."""
    if not issubclass(model, ApiModel):
        return
    if members := model.exactly_one:
        if set(members) == set(schema["properties"]):
            schema.update(minProperties=1, maxProperties=1)
        else:
            schema["oneOf"] = [{"required": [member]} for member in members]
    if model.rules:
        schema["x-kubernetes-validations"] = [rule.as_validation() for rule in model.rules]


class ApiModel(BaseModel):
    """One object of the API. Field docstrings are what users read in `kubectl explain` and in editors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        json_schema_extra=_declare_constraints,
    )

    exactly_one: ClassVar[tuple[str, ...]] = ()
    """Names (as in manifests) of members of which exactly one must be there."""
    rules: ClassVar[tuple[Rule, ...]] = ()
    """What the object must fulfil besides its fields' own types."""

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        """The API server prunes null from fields that are not `nullable`, and none is."""
        if not isinstance(value, Mapping) or None not in value.values():
            return value
        known = {field.alias for field in cls.model_fields.values()}
        return {name: item for name, item in value.items() if item is not None or name not in known}

    @model_validator(mode="after")
    def _check(self) -> Self:
        broken = [rule.message for rule in self.rules if rule.holds is not None and not rule.holds(self)]
        if self.exactly_one:
            fields = type(self).model_fields
            present = [name for field in self.model_fields_set if (name := fields[field].alias)]
            given = [name for name in self.exactly_one if name in present]
            if len(given) != 1:
                found = " and ".join(given) or "none"
                broken.insert(0, f"exactly one of {', '.join(self.exactly_one)} is needed, found {found}")
        if broken:
            raise ValueError("; ".join(broken))
        return self


class Status(ApiModel):
    """Base of all status models: a reader may be older than the writer, so unknown fields pass."""

    model_config = ConfigDict(extra="ignore")
