"""The reference of reasons, and the how-to, have every word that the sidecar adds to the door's."""

from pathlib import Path

from emailflow_runtime.adapters import http_sink
from emailflow_runtime.adapters.spool import SpoolFull, SpoolUnusable

ROOT = Path(__file__).parents[3]


def test_every_reason_is_in_both():
    own = [each for each in vars(http_sink).values() if getattr(each, "__module__", "") == http_sink.__name__]
    reasons = {each.reason for each in (*own, SpoolFull, SpoolUnusable) if hasattr(each, "reason")}
    assert "SinkUnreachable" in reasons
    for page in ("docs/reference/reasons.md", "docs/how-to/sidecar.md"):
        text = (ROOT / page).read_text()
        assert {reason for reason in reasons if f"`{reason}`" not in text} == set()
