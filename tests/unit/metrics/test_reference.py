"""The reference of metrics is that of the code."""

from pathlib import Path

from emailflow_runtime.adapters.metrics import reference

PAGE = Path(__file__).parents[3] / "docs/reference/metrics.md"


def test_the_reference_lists_every_series_as_it_is():
    assert PAGE.read_text() == reference()


def test_names_have_the_prefix_and_base_units():
    names = [line.split("`")[1] for line in reference().splitlines() if line.startswith("| `")]

    assert len(names) > 15
    assert [name for name in names if not name.startswith("emailflow_")] == []
    assert [name for name in names if "milli" in name or name.endswith(("_ms", "_minutes"))] == []
