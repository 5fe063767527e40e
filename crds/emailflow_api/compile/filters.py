"""Filters: from the API's members to the plans' union, every expression checked."""

from collections.abc import Sequence

from emailflow_api import plans as p
from emailflow_api.compile.later import refuse
from emailflow_api.compile.report import Report
from emailflow_api.expressions import Result, Scope
from emailflow_api.kinds.filter import Filter, InnerFilter, LeafFilter


def compile_filters(
    report: Report, path: str, declared: Sequence[LeafFilter], scope: Scope
) -> tuple[p.Filter, ...]:
    """The filters that are sound; the others are findings."""
    made = [_filter(report, f"{path}[{index}]", each, scope) for index, each in enumerate(declared)]
    return tuple(each for each in made if each is not None)


def _filter(report: Report, path: str, declared: LeafFilter, scope: Scope) -> p.Filter | None:
    for kind, member in ((p.Exact, "exact"), (p.Prefix, "prefix"), (p.Suffix, "suffix")):
        if (attributes := getattr(declared, member)) is not None:
            return kind(dict(attributes))
    if declared.cesql is not None:
        refuse(report, f"{path}.cesql", "a cesql filter", "a cel filter")
        return None
    if declared.cel is not None:
        text = report.expression(f"{path}.cel", declared.cel, scope, Result.BOOL)
        return p.Cel(text) if text else None
    return _nested(report, path, declared, scope)


def _nested(report: Report, path: str, declared: LeafFilter, scope: Scope) -> p.Filter | None:
    if not isinstance(declared, InnerFilter | Filter):
        return None
    if declared.all_of is not None:
        return p.AllOf(compile_filters(report, f"{path}.all", declared.all_of, scope))
    if declared.any_of is not None:
        return p.AnyOf(compile_filters(report, f"{path}.any", declared.any_of, scope))
    if declared.not_ is not None:
        inner = _filter(report, f"{path}.not", declared.not_, scope)
        return p.Not(inner) if inner is not None else None
    return None
