"""Filters of events, in the dialects of CloudEvents Subscriptions 1.0 (section 3.2.4) and CEL.

A structural schema can't recurse, so nesting is written out: `all`, `any` and `not` may stand inside one
another twice.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.text import Cel

Attributes = Annotated[
    dict[str, Annotated[str, Field(min_length=1, max_length=1024)]], Field(min_length=1, max_length=16)
]


class LeafFilter(ApiModel):
    """A filter without others inside: exactly one of its members."""

    exactly_one: ClassVar[tuple[str, ...]] = ("exact", "prefix", "suffix", "cesql", "cel")

    exact: Attributes | None = None
    """These CloudEvents attributes equal these strings, all of them."""
    prefix: Attributes | None = None
    """These CloudEvents attributes start with these strings, all of them."""
    suffix: Attributes | None = None
    """These CloudEvents attributes end with these strings, all of them."""
    cesql: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """A CloudEvents SQL expression (version 1.0) holds. Not supported yet."""
    cel: Cel | None = None
    """A CEL expression of type bool holds; an expression that has no value (a missing field) does not."""


_BRANCHES = ("all", "any", "not")


class InnerFilter(LeafFilter):
    """A filter inside another: exactly one of its members."""

    exactly_one: ClassVar[tuple[str, ...]] = (*LeafFilter.exactly_one, *_BRANCHES)

    all_of: Annotated[list[LeafFilter] | None, Field(alias="all", min_length=1, max_length=8)] = None
    """Every one of these filters holds."""
    any_of: Annotated[list[LeafFilter] | None, Field(alias="any", min_length=1, max_length=8)] = None
    """At least one of these filters holds."""
    not_: Annotated[LeafFilter | None, Field(alias="not")] = None
    """This filter does not hold."""


class Filter(LeafFilter):
    """A filter of events: exactly one of its members."""

    exactly_one: ClassVar[tuple[str, ...]] = (*LeafFilter.exactly_one, *_BRANCHES)

    all_of: Annotated[list[InnerFilter] | None, Field(alias="all", min_length=1, max_length=8)] = None
    """Every one of these filters holds."""
    any_of: Annotated[list[InnerFilter] | None, Field(alias="any", min_length=1, max_length=8)] = None
    """At least one of these filters holds."""
    not_: Annotated[InnerFilter | None, Field(alias="not")] = None
    """This filter does not hold."""


Filters = Annotated[list[Filter], Field(max_length=16)]
"""Filters that must all hold."""
