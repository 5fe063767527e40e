"""PLANS: plans in a KV bucket, each under the hash of its content, and pointers to what is current.

Content is written before the pointer to it, and old programs stay while a journey may refer to them, so
a reader never finds a pointer to nothing.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import msgspec

from emailflow_api import plans as p
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import Connection, checked

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
    )


def _by_name(plans: list[Any]) -> dict[str, Any]:
    return {f"{each.namespace}/{each.name}": each for each in plans}


class PlanBucket:
    """Reads PLANS for a runtime (the port PlanSource), and writes it for `emailflow dev`."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._bucket = bucket

    async def snapshots(self) -> AsyncIterator[p.Plans]:
        """See PlanSource."""
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        while True:
            plans = from_entries(tail.values)
            if plans is not None:
                yield plans
            await tail.changed()

    async def read(self) -> p.Plans | None:
        """What the bucket says now. Raises Unavailable."""
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        return from_entries(tail.values)

    async def write(self, plans: p.Plans) -> None:
        """Make the bucket say this: new content first, then pointers, then what nobody points to goes.

        Programs stay. Raises Unavailable, JetStreamError.
        """
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        wanted = to_entries(plans)
        for key, value in wanted.items():
            if tail.values.get(key) != value:
                await self._put(key, value)
        for key in tail.values.keys() - wanted.keys():
            if not key.startswith(PROGRAM):
                await self._put(key, b"", {"KV-Operation": "DEL"})

    async def _put(self, key: str, value: bytes, headers: dict[str, str] | None = None) -> None:
        checked(await self._connection.request(f"$KV.{self._bucket}.{key}", value, headers))
