"""Whose namespaces something is open to: its own, those with some labels, or all.

Nothing here may widen what an object says: absent means the object's own namespace.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.rule import Rule


class LabelSelector(ApiModel):
    """Namespaces by their labels."""

    match_labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(min_length=1, max_length=16)
    ]
    """Labels that the namespace must have, all of them."""


def selects(field: str = "") -> tuple[Rule, ...]:
    """The rule of `Namespaces`; `field` tells several in one kind apart."""
    return (
        Rule(
            cel="has(self.selector) == (self.from == 'Selector')",
            message=f"{field}selector goes with from: Selector, and only with it",
            holds=lambda self: (self.selector is not None) == (self.from_ == "Selector"),
        ),
    )


class Namespaces(ApiModel):
    """Namespaces besides the object's own, which always counts."""

    rules: ClassVar[tuple[Rule, ...]] = selects()

    from_: Annotated[Literal["Same", "Selector", "All"], Field(alias="from")] = "Same"
    """The object's own namespace (Same), also those with some labels (Selector), or all."""
    selector: LabelSelector | None = None
    """With Selector: which namespaces."""
