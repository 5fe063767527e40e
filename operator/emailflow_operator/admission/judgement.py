"""What admission says of one object: refusals, from what the object itself or its old version shows, and
warnings, from what depends on others.

Files arrive in any order, so what another object can still mend is never a refusal. Pure; whatever an
object holds, it raises nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from emailflow_api.compile import compile_resources
from emailflow_api.compile.compatibility import breaks
from emailflow_api.errors import Finding, Severity
from emailflow_api.kinds import EventType, InvalidResource, parse
from emailflow_api.reading import Document
from emailflow_operator.admission.lister import Lister
from emailflow_operator.admission.neighbours import Neighbours, runtime_key

SELF_EVIDENT = frozenset(
    {
        "InvalidExpression",
        "InvalidDuration",
        "InvalidTimezone",
        "InvalidAddress",
        "InvalidSchema",
        "TemplateSyntaxError",
        "TemplateForbidden",
        "TemplateTooComplex",
        "TooComplex",
        "StepNotFound",
        "LoopWithoutWait",
        "TooLarge",
    }
)
"""Findings that the object shows by itself when it is compiled alone: its author has to mend it."""
UNTOLD = frozenset({"NoPolicy"})
"""Warnings that are for the status and for `lint`: nothing is wrong with what is applied."""
INCOMPATIBLE = "IncompatibleSchema"
_SOURCE = "admission"


class Judgement(NamedTuple):
    """`refusals` stop the object; `warnings` are told to whoever sent it."""

    refusals: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()


def judge(new: Mapping[str, Any], old: Mapping[str, Any] | None, lister: Lister | None) -> Judgement:
    """Judge an object that is created (`old` None) or changed. Without a lister others are not looked at.

    A change that leaves the spec alone is never refused: labels have to stay editable when rules got
    stricter, and what is being deleted has to go.
    """
    document = Document(dict(new), _SOURCE, 1)
    refusals = tuple(_refusals(document, old))
    if refusals and old is not None and _leaves_alone(new, old):
        return Judgement(warnings=refusals)
    if refusals:
        return Judgement(refusals)
    return Judgement(warnings=tuple(_warnings(document, lister)) if lister is not None else ())


def _leaves_alone(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    return new.get("spec") == old.get("spec") or "deletionTimestamp" in _metadata(new)


def _metadata(value: Mapping[str, Any]) -> Mapping[str, Any]:
    found = value.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _refusals(document: Document, old: Mapping[str, Any] | None) -> Iterable[Finding]:
    try:
        resource = parse(document.value)
    except InvalidResource as invalid:
        return invalid.findings
    compiled = compile_resources([document], runtime=runtime_key(document))
    found = [
        each
        for each in compiled.findings
        if each.severity is Severity.ERROR
        and each.subject == document.subject
        and each.reason in SELF_EVIDENT
    ]
    if isinstance(resource, EventType) and old is not None:
        found += _incompatible(document, resource, old)
    return found


def _incompatible(document: Document, new: EventType, old: Mapping[str, Any]) -> Iterable[Finding]:
    """What breaks the new object's own word about the schema that its type had."""
    before = old.get("spec")
    if not isinstance(before, Mapping) or before.get("type") != new.spec.type:
        return
    schema = new.spec.data_schema
    for each in breaks(
        before.get("schema", True), True if schema is None else schema, new.spec.compatibility
    ):
        path = f"spec.schema.{each.path}" if each.path else "spec.schema"
        expected = f"{each.expected}, or `compatibility` other than {new.spec.compatibility}"
        yield Finding(Severity.ERROR, INCOMPATIBLE, document.subject, path, each.message, expected)


def _warnings(document: Document, lister: Lister) -> Iterable[Finding]:
    """What compiling the object beside its neighbours finds; of two rivals it is the later one."""
    neighbours = Neighbours(lister)
    compiled = compile_resources(
        [*neighbours.of(document), document], runtime=neighbours.runtime_for(document)
    )
    about = [each for each in compiled.findings if each.subject == document.subject]
    return [each for each in about if each.reason not in UNTOLD]
