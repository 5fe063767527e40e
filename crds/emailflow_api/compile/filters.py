"""Filters: from the API's members to the plans' union, every expression checked."""

from collections.abc import Sequence

from emailflow_api import plans as p
from emailflow_api.compile.checked_expressions import CheckedExpressions
from emailflow_api.compile.later import refuse
from emailflow_api.kinds.filter import Filter, InnerFilter, LeafFilter


def compile_filters(
    expressions: CheckedExpressions, path: str, declared: Sequence[LeafFilter]
) -> tuple[p.Filter, ...]:
    """The filters that are sound; the others are findings."""
    made = [_filter(expressions, f"{path}[{index}]", each) for index, each in enumerate(declared)]
    return tuple(each for each in made if each is not None)


def _filter(expressions: CheckedExpressions, path: str, declared: LeafFilter) -> p.Filter | None:
    for kind, member in ((p.Exact, "exact"), (p.Prefix, "prefix"), (p.Suffix, "suffix")):
        if (attributes := getattr(declared, member)) is not None:
            return kind(dict(attributes))
    if declared.cesql is not None:
        refuse(expressions.report, f"{path}.cesql", "a cesql filter", "a cel filter")
        return None
    if declared.cel is not None:
        text = expressions.condition(f"{path}.cel", declared.cel)
        return p.Cel(text) if text else None
    return _nested(expressions, path, declared)


def _nested(expressions: CheckedExpressions, path: str, declared: LeafFilter) -> p.Filter | None:
    if not isinstance(declared, InnerFilter | Filter):
        return None
    if declared.all_of is not None:
        return p.AllOf(compile_filters(expressions, f"{path}.all", declared.all_of))
    if declared.any_of is not None:
        return p.AnyOf(compile_filters(expressions, f"{path}.any", declared.any_of))
    if declared.not_ is not None:
        inner = _filter(expressions, f"{path}.not", declared.not_)
        return p.Not(inner) if inner is not None else None
    return None
