"""What the operator takes on its command line for runtime pods."""

import pytest
import typer

from emailflow_cli.operator import _variables


def test_variables_of_tracing_are_taken_in_the_order_of_their_names() -> None:
    said = ["OTEL_TRACES_SAMPLER=always_on", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/?a=b"]
    assert _variables(said) == (
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/?a=b"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
    )


@pytest.mark.parametrize("said", ["PYTHONPATH=/tmp", "OTEL_X", "OTEL_=1", "otel_x=1", "OTEL_A B=1", "=1", ""])
def test_any_other_is_refused_with_its_name(said: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected OTEL_"):
        _variables([said])
