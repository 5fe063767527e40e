"""What each owner knew of the plans, and when: a catalog that remembers, and who watches what is decided.

Oracles judge by it. Nothing here changes what the machinery does.
"""

from typing import Any, NamedTuple

from tests.simulation import revisions

from emailflow_runtime.app.catalog import Catalog as ShippedCatalog
from emailflow_runtime.app.telemetry import Silence


class Catalog(ShippedCatalog):
    """The catalog of one process. `views` holds what has been in force in it, each from a moment on
    (nanoseconds)."""

    def __init__(self, plans, clock):
        self.views = []
        self._clock = clock
        super().__init__(plans)

    def _replace(self, plans, compiled):
        super()._replace(plans, revisions.COMPILED)
        self.views.append((self._clock.now(), plans))

    def between(self, start, end):
        """The plans that were in force at some moment of this stretch."""
        ends = [*(moment for moment, _ in self.views[1:]), end]
        views = zip(self.views, ends, strict=True)
        return [plans for (begin, plans), over in views if begin <= end and over >= start]


class Decided(NamedTuple):
    """A fact at the moment of its decision: when (nanoseconds), of which flow, by which plans."""

    at: int
    flow: str
    fact: Any
    plans: Any


class Witness(Silence):
    """The port Telemetry: sees every decision of one process."""

    def __init__(self, catalog, clock, decided):
        self._catalog = catalog
        self._clock = clock
        self._decided = decided

    def folded(self, before, after, fact):
        self._decided.append(Decided(self._clock.now(), after.flow, fact, self._catalog.plans))
