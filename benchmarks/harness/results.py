"""Results: printed as a table, kept as JSON, each beside what the machine itself can do.

`BENCH_RESULTS` names the folder; it is benchmarks/results otherwise.
"""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("BENCH_RESULTS", Path(__file__).parent.parent / "results"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
"""How long one measurement loads the machine; more gives steadier figures."""
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
"""How often it is repeated. The best counts, since whatever else runs on the machine only takes away."""


def machine() -> str:
    """The machine in a line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """p50 and p99 of seconds, in milliseconds."""
    cuts = statistics.quantiles(latencies, n=100)
    return {"p50_ms": round(cuts[49] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2)}


def report(benchmark: str, figures: dict[str, Any]) -> None:
    """Print the figures and keep them."""
    for name, value in figures.items():
        shown = f"{value:,.1f}" if isinstance(value, float) else f"{value}"
        print(f"  {name:<42} {shown}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    kept = {
        "benchmark": benchmark,
        "machine": machine(),
        "load_average": round(load, 1),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": SECONDS,
        "figures": figures,
    }
    (FOLDER / f"{benchmark}.json").write_text(json.dumps(kept, indent=2) + "\n")
