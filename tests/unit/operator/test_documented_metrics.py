"""The how-to lists the series that the operator shows, and no other."""

import re
from pathlib import Path

from emailflow_operator.control.measures import Measures

PAGE = (Path(__file__).parents[3] / "docs/how-to/operate.md").read_text()


def test_every_series_is_in_the_how_to() -> None:
    shown = set(re.findall(r"# TYPE (\w+)", Measures().text()))
    assert set(re.findall(r"`(emailflow_operator_\w+)`", PAGE)) == shown
