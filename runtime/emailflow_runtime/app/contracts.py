"""Contracts at the receiver: an event whose type has an EventType is checked against its schema.

What happens to one that breaks it is the EventType's to say. Nothing is fetched: references stay inside
the schema.
"""

import json
from typing import Any

import jsonschema_rs

from emailflow_api.plans import EventTypePlan
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import InvalidEvent

MAX_REPORTED = 3


class ContractBroken(InvalidEvent):
    """The data is not what the EventType's schema says."""

    reason = "ContractBroken"


class UnknownType(InvalidEvent):
    """The runtime takes only types that have an EventType (`receiver.unknownTypes: Reject`)."""

    reason = "UnknownType"


class Contract:
    """One compiled schema."""

    def __init__(self, plan: EventTypePlan) -> None:
        """Raises ValueError for a schema that is none; compile refuses it before."""
        self.plan = plan
        self._validator: Any = (
            jsonschema_rs.validator_for(json.loads(plan.schema), retriever=_refuse) if plan.schema else None
        )

    def broken_by(self, event: CloudEvent) -> str:
        """What is wrong with the event's data, naming fields but quoting no value; empty: nothing."""
        if self._validator is None or self._validator.is_valid(event.value):
            return ""
        problems = []
        for error in self._validator.iter_errors(event.value):
            path = "".join(
                f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path
            )
            rule = "/".join(str(part) for part in error.schema_path)
            problems.append(f"data{path} breaks schema/{rule}")
            if len(problems) == MAX_REPORTED:
                break
        return "; ".join(problems)


def _refuse(uri: str) -> Any:
    raise ValueError(f"a schema may not refer to {uri}")


class Contracts:
    """Compiled contracts by type, compiled again when they change."""

    def __init__(self) -> None:
        self._compiled: dict[str, Contract] = {}

    def of(self, plan: EventTypePlan) -> Contract:
        """The compiled contract of a plan."""
        known = self._compiled.get(plan.type)
        if known is None or known.plan != plan:
            known = self._compiled[plan.type] = Contract(plan)
        return known
