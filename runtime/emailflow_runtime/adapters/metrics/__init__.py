"""Prometheus metrics of one process: what is counted, and ports that count what passes through them.

Labels are names from manifests and reasons, which are few. No address, contact, mail or event may be one.
"""

from emailflow_runtime.adapters.metrics.registry import Declared, FlowLag, Metrics
from emailflow_runtime.adapters.metrics.series import reference

__all__ = ["Declared", "FlowLag", "Metrics", "reference"]
