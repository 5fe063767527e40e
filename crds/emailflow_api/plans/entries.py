"""PLANS as keys and values: every plan under the hash of its content, and pointers to what is current.

Content is written before the pointer to it, and old programs stay while a journey may refer to them, so
a reader never finds a pointer to nothing. Pure: writing and watching the bucket are adapters' business.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from emailflow_api import plans as p

_Plan = TypeVar("_Plan", bound=msgspec.Struct)
CURRENT = "current."
CONTENT = "content."
PROGRAM = "program."


def _key(name: str) -> str:
    """A key of PLANS: `/` separates namespace and name there as everywhere, dots stay."""
    return name.replace("/", "_")


def to_entries(plans: p.Plans) -> dict[str, bytes]:
    """The bucket's content for these plans, in the order in which it has to be written."""
    contents: dict[str, bytes] = {
        f"{PROGRAM}{revision}": p.encode(program) for revision, program in plans.programs.items()
    }
    pointers: dict[str, bytes] = {}
    for kind, name, plan in _all(plans):
        digest = p.content_hash(plan)
        contents[f"{CONTENT}{digest}"] = p.encode(plan)
        pointers[f"{CURRENT}{kind}.{_key(name)}"] = digest.encode()
    return {**contents, **pointers}


def _all(plans: p.Plans) -> list[tuple[str, str, msgspec.Struct]]:
    kinds: list[tuple[str, Mapping[str, msgspec.Struct]]] = [
        ("template", plans.templates),
        ("provider", plans.providers),
        ("policy", plans.policies),
        ("event_type", plans.event_types),
        ("file", plans.files),
        ("flow", plans.flows),
        ("runtime", {"runtime": plans.runtime}),
    ]
    return [(kind, name, plan) for kind, members in kinds for name, plan in members.items()]


def from_entries(entries: Mapping[str, bytes]) -> p.Plans | None:
    """The plans in a bucket; None while there is no runtime's plan in it."""

    def current(kind: str, shape: type[_Plan]) -> list[_Plan]:
        prefix = f"{CURRENT}{kind}."
        digests = [value.decode() for key, value in sorted(entries.items()) if key.startswith(prefix)]
        found = (entries.get(f"{CONTENT}{digest}") for digest in digests)
        return [msgspec.json.decode(data, type=shape) for data in found if data is not None]

    runtimes = current("runtime", p.RuntimePlan)
    if not runtimes:
        return None
    programs = {
        key.removeprefix(PROGRAM): msgspec.json.decode(value, type=p.Program)
        for key, value in entries.items()
        if key.startswith(PROGRAM)
    }
    return p.Plans(
        runtime=runtimes[0],
        programs=programs,
        flows=_by_name(current("flow", p.FlowPlan)),
        templates=_by_name(current("template", p.TemplatePlan)),
        providers={each.name: each for each in current("provider", p.ProviderPlan)},
        policies={each.name: each for each in current("policy", p.PolicyPlan)},
        event_types={each.type: each for each in current("event_type", p.EventTypePlan)},
        files={each.id: each for each in current("file", p.FilePlan)},
    )


def _by_name(plans: list[Any]) -> dict[str, Any]:
    return {f"{each.namespace}/{each.name}": each for each in plans}
