"""The NATS door: what producers publish on NATS comes into the log, or is kept with the reason why not.

It decodes and hands events to the port Ingest; the queue that they come from is told what became of each.
What it promises to producers is written down in docs/reference/nats.md.
"""

from emailflow_runtime.adapters.nats_door.door import NatsDoor

__all__ = ["NatsDoor"]
