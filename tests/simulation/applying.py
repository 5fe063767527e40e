"""What is applied in a world, and how people change it while it runs, drawn from its seed.

Flows get other revisions, are suspended, deleted and applied again; providers and policies say other things.
What the operator makes of it stands in `operating`.
"""

import asyncio
import random

from msgspec.structs import replace
from tests.simulation import flows, revisions
from tests.simulation.operating import Operator

from emailflow_api import plans as p

EVERY = 12.0
"""Seconds between two changes, mostly."""
LEASE = 15.0
"""Seconds before another operator takes the place of one that was killed."""
RATES = (p.Rate(), p.Rate(per_second=1, burst=1), p.Rate(per_second=20, burst=5, concurrency=2))
CAPS = ((), (p.Cap(max=2, per="PT1H"),))


class Applied:
    """The resources as they are. `plans` is what compiling them gives."""

    def __init__(self, shards):
        self._base = flows.plans(shards)
        self.numbers = dict.fromkeys(flows.PROGRAMS, 0)
        """By flow that there is, its revision."""
        self.suspended = set()
        """Flows, providers (`provider/name`), and `runtime`."""
        self.rates = dict.fromkeys(self._base.providers, RATES[0])
        self.hosts = dict.fromkeys(self._base.providers, "mx.example.com")
        self.caps = CAPS[0]

    def plans(self):
        """As the operator would have them, knowing nothing of what was before."""
        programs = {name: revisions.PROGRAMS[name][number] for name, number in self.numbers.items()}
        made = {
            f"shop/{name}": replace(
                self._base.flows[f"shop/{name}"],
                revision=p.content_hash(program),
                suspend=name in self.suspended,
            )
            for name, program in programs.items()
        }
        providers = {
            name: replace(
                provider,
                rate=self.rates[name],
                transport=p.Smtp(host=self.hosts[name]),
                suspend=f"provider/{name}" in self.suspended,
            )
            for name, provider in self._base.providers.items()
        }
        policies = {**self._base.policies}
        policies["offers"] = replace(policies["offers"], caps=self.caps)
        return replace(
            self._base,
            runtime=replace(self._base.runtime, suspend="runtime" in self.suspended),
            flows=made,
            programs={p.content_hash(program): program for program in programs.values()},
            providers=providers,
            policies=policies,
        )


class Changes:
    """Who changes what is applied. `unsteady`: the flows that were deleted, or let in by other events."""

    def __init__(self, world):
        self.unsteady = set()
        self._world = world
        self._random = random.Random(f"changes {world.seed}")
        self._under_way = set()
        self._operators = 0
        self.operator = None
        self._held = set()
        """Flows that have been suspended. Who deletes one that is suspended leaves it so for ever: nobody can
        release it, and it never drains."""

    def start_operator(self):
        """Another process of the operator begins."""
        self.operator = Operator(self._world, f"operator-{self._operators}")
        self._operators += 1

    async def until(self, end):
        """One change after the other, until then (seconds of the loop)."""
        loop = self._world.loop
        ways = (self.revise, self.revise, self.revise, self.suspend, self.suspend, self.delete, self.delete)
        ways = (*ways, self.change_provider, self.change_policy, self.kill_operator)
        while True:
            await asyncio.sleep(self._random.expovariate(1 / EVERY))
            if loop.time() >= end:
                return
            task = loop.create_task(self._random.choice(ways)())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def over(self):
        """Return when what was begun is done: nothing is suspended any more, an operator is there."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _applied(self, *what):
        self._world.network.note("applied", *what)
        self.operator.mark()

    def _some_flow(self):
        return self._random.choice(tuple(flows.PROGRAMS))

    async def revise(self):
        """A flow gets another revision, maybe one that it had before; one that is gone is applied again."""
        self._apply(self._some_flow(), self._random.choice(revisions.NUMBERS))

    def _apply(self, name, number):
        if (name, number) in revisions.OTHER_TRIGGERS:
            self.unsteady.add(name)
        self._world.applied.numbers[name] = number
        self._applied(name, number)

    async def suspend(self):
        """A flow, a provider or everything is suspended for a while."""
        what = self._random.choice((*flows.PROGRAMS, "provider/hold", "provider/again", "runtime"))
        suspended = self._world.applied.suspended
        deleted = what in flows.PROGRAMS and what not in self._world.applied.numbers
        if what in suspended or deleted:
            return
        suspended.add(what)
        self._held.add(what)
        self._applied("suspend", what)
        await asyncio.sleep(self._random.choice((0.1, 3.0, 15.0, 60.0)))
        suspended.discard(what)
        self._applied("release", what)

    async def delete(self):
        """A flow is deleted, and mostly comes back: while it drains, or after it has gone."""
        name, applied = self._some_flow(), self._world.applied
        if name in self._held:
            return
        self.unsteady.add(name)
        number = applied.numbers.pop(name, 0)
        self._applied("delete", name)
        if self._random.random() < 0.7:
            await asyncio.sleep(self._random.choice((0.1, 5.0, 9.0, 20.0, 60.0)))
            self._apply(name, self._random.choice((number, *revisions.NUMBERS)))

    async def change_provider(self):
        """A provider allows more or less, or is another server."""
        name = self._random.choice(tuple(self._world.applied.rates))
        self._world.applied.rates[name] = self._random.choice(RATES)
        if self._random.random() < 0.3:
            self._world.applied.hosts[name] = self._random.choice(("mx.example.com", "mx2.example.com"))
        self._applied("provider", name)

    async def change_policy(self):
        """A policy caps mails, or not."""
        self._world.applied.caps = self._random.choice(CAPS)
        self._applied("policy")

    async def kill_operator(self):
        """Another one leads after a while."""
        killed = self.operator
        killed.kill()
        await asyncio.sleep(LEASE)
        if self.operator is killed:
            self.start_operator()
