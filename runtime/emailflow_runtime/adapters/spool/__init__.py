"""The spool: accepted events on a disk of the pod's own, until they are drained.

It is append-only, bounded, and says no when it is full. It survives the end of the container, however sudden;
it does not survive the pod. It decides nothing about events.
"""

from emailflow_runtime.adapters.spool.spool import Spool, SpoolFull, SpoolUnusable

__all__ = ["Spool", "SpoolFull", "SpoolUnusable"]
