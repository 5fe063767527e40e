"""Event types: contracts, and who their events are about."""

import json
from typing import Any

import jsonschema_rs

from emailflow_api import plans as p
from emailflow_api.allowed import Labels, granted
from emailflow_api.compile.checked_expressions import CheckedExpressions
from emailflow_api.compile.report import Report
from emailflow_api.expressions import Scope
from emailflow_api.kinds import EventType
from emailflow_api.kinds.event_type import ContactMapping


def compile_event_type(report: Report, event_type: EventType, namespaces: Labels) -> p.EventTypePlan:
    """The contract of a CloudEvents type; what is wrong is in the report. `namespaces`: their labels."""
    spec = event_type.spec
    schema = ""
    if spec.data_schema is not None:
        _check_schema(report, spec.data_schema)
        schema = json.dumps(spec.data_schema, sort_keys=True, separators=(",", ":"))
    expressions = CheckedExpressions(
        report,
        Scope.MAPPING,
        {} if spec.data_schema is None else {spec.type: spec.data_schema},
        event=(spec.type,),
    )
    return p.EventTypePlan(
        name=event_type.name,
        type=spec.type,
        schema=schema,
        on_invalid=spec.on_invalid,
        contact=_mapping(expressions, spec.contact) if spec.contact else None,
        sensitive=tuple(spec.sensitive),
        emitters=granted(spec.emitters, namespaces),
        readers=granted(spec.readers, namespaces),
    )


def _mapping(expressions: CheckedExpressions, declared: ContactMapping) -> p.ContactMapping:
    def text(member: str, value: str | None) -> str:
        return expressions.text(f"spec.contact.{member}", value)

    return p.ContactMapping(
        id=text("id", declared.id),
        email=text("email", declared.email),
        name=text("name", declared.name),
        locale=text("locale", declared.locale),
        timezone=text("timezone", declared.timezone),
        traits={
            name: expressions.value(f'spec.contact.traits["{name}"]', value)
            for name, value in declared.traits.items()
        },
    )


def _check_schema(report: Report, schema: dict[str, Any]) -> None:
    """The receiver compiles the same schema with the same library: what passes here works there."""
    try:
        jsonschema_rs.validator_for(schema, retriever=_refuse)
    except ValueError as error:
        first = str(error).partition("\n")[0]
        report.error("InvalidSchema", "spec.schema", first, "a JSON Schema that refers to nothing outside")


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is outside the schema")
