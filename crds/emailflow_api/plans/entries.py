"""PLANS as keys and values: every plan under the hash of its content, and pointers to what is current.

Content is written before the pointer to it, and old programs stay while a journey may refer to them, so
a reader never finds a pointer to nothing. Pure: writing and watching the bucket are adapters' business.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from emailflow_api import plans as p

CURRENT = "current."
CONTENT = "content."
PROGRAM = "program."

Decoded: TypeAlias = dict[tuple[str, str], msgspec.Struct]
"""Plans by kind and by the key of their content, which never changes."""

_SHAPES: dict[str, type[msgspec.Struct]] = {
    "program": p.Program,
    "template": p.TemplatePlan,
    "provider": p.ProviderPlan,
    "policy": p.PolicyPlan,
    "event_type": p.EventTypePlan,
    "file": p.FilePlan,
    "flow": p.FlowPlan,
    "runtime": p.RuntimePlan,
}


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


def from_entries(entries: Mapping[str, bytes], decoded: Decoded | None = None) -> p.Plans | None:
    """The plans in a bucket; None while there is no runtime's plan in it.

    `decoded` remembers from call to call what was decoded, so that a change costs no more than itself. What
    can't be decoded, since a newer release wrote it, counts as absent.
    """
    before = dict(decoded) if decoded is not None else {}
    now: Decoded = {} if decoded is None else decoded
    now.clear()
    found: dict[str, list[Any]] = {kind: [] for kind in _SHAPES}
    for key, value in entries.items():
        place = _place(key, value)
        if place is None:
            continue
        plan = before.get(place) or _decode(place[0], entries.get(place[1]))
        if plan is not None:
            now[place] = plan
            found[place[0]].append((key, plan))
    if not found["runtime"]:
        return None
    return p.Plans(
        runtime=found["runtime"][0][1],
        programs={key.removeprefix(PROGRAM): plan for key, plan in found["program"]},
        flows={f"{plan.namespace}/{plan.name}": plan for _, plan in found["flow"]},
        templates={f"{plan.namespace}/{plan.name}": plan for _, plan in found["template"]},
        providers={plan.name: plan for _, plan in found["provider"]},
        policies={plan.name: plan for _, plan in found["policy"]},
        event_types={plan.type: plan for _, plan in found["event_type"]},
        files={plan.id: plan for _, plan in found["file"]},
    )


def _place(key: str, value: bytes) -> tuple[str, str] | None:
    """The kind of plan that this entry is or points to, and the key of its content; None for content."""
    if key.startswith(PROGRAM):
        return "program", key
    kind, _, name = key.removeprefix(CURRENT).partition(".")
    if not key.startswith(CURRENT) or not name or kind not in _SHAPES:
        return None
    return kind, f"{CONTENT}{value.decode('ascii', 'replace')}"


def _decode(kind: str, content: bytes | None) -> msgspec.Struct | None:
    try:
        return msgspec.json.decode(content, type=_SHAPES[kind]) if content is not None else None
    except msgspec.DecodeError:
        return None
