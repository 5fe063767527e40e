"""AdmissionReview v1 (admission.k8s.io): from a request to its answer. Pure, and total: a review that is
none raises InvalidReview, anything inside one gets an answer.

Nothing here has side effects, so a dry run is answered like any other request.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from emailflow_api.errors import Finding
from emailflow_api.kinds import GROUP, RESOURCES
from emailflow_operator.admission.judgement import Judgement, judge
from emailflow_operator.admission.lister import Lister
from emailflow_operator.errors import OperatorError
from emailflow_operator.injection import InjectionRefused, Injector

API_VERSION = "admission.k8s.io/v1"
LONGEST_WARNING = 120
"""Characters; the API server cuts all warnings together at 4,096 (KEP 1693 asks for about 120 each)."""
MOST_WARNINGS = 5
MOST_REFUSALS = 20


class InvalidReview(OperatorError):
    """A request that is no AdmissionReview of version 1."""

    reason = "InvalidReview"


class Request(NamedTuple):
    """What matters of an admission request. `new` and `old` are raw objects, whatever is in them."""

    uid: str
    operation: str
    namespace: str
    group: str
    kind: str
    subresource: str
    new: Mapping[str, Any] | None
    old: Mapping[str, Any] | None


def read_request(body: bytes) -> Request:
    """The request in the review. Raises InvalidReview."""
    try:
        review = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidReview("body: expected JSON") from None
    if not isinstance(review, Mapping) or review.get("apiVersion") != API_VERSION:
        raise InvalidReview(f"apiVersion: expected {API_VERSION}")
    request = _object(review, "request")
    if request is None or not isinstance(request.get("uid"), str):
        raise InvalidReview("request.uid: expected a string")
    kind = _object(request, "kind") or {}
    return Request(
        uid=request["uid"],
        operation=_text(request, "operation"),
        namespace=_text(request, "namespace"),
        group=_text(kind, "group"),
        kind=_text(kind, "kind"),
        subresource=_text(request, "subResource"),
        new=_object(request, "object"),
        old=_object(request, "oldObject"),
    )


def validate(request: Request, lister: Lister | None) -> dict[str, Any]:
    """The answer of `/validate`. What isn't ours, or isn't a change of an object, passes."""
    ours = request.group == GROUP and request.kind in RESOURCES
    if request.operation not in ("CREATE", "UPDATE") or request.subresource or not ours:
        return _answer(request)
    if request.new is None:
        return _refused(request, "object: expected the object")
    judgement: Judgement = judge(request.new, request.old, lister)
    if judgement.refusals:
        return _refused(request, _told(judgement.refusals))
    return _answer(request, warnings=_warnings(map(_brief, judgement.warnings)))


def inject(request: Request, injector: Injector, lister: Lister | None) -> dict[str, Any]:
    """The answer of `/inject`: a JSON Patch, where there is something to change."""
    is_pod = request.group == "" and request.kind == "Pod"
    if request.operation != "CREATE" or request.subresource or not is_pod or request.new is None:
        return _answer(request)
    try:
        injection = injector.inject(request.new, request.namespace)
    except InjectionRefused as refused:
        return _refused(request, str(refused))
    warnings = [injection.warning] if injection.warning else []
    if injection.runtime and lister is not None and lister.get("EmailRuntime", *injection.runtime) is None:
        warnings.append(f"there is no EmailRuntime {'/'.join(injection.runtime)} to send events to")
    answer = _answer(request, warnings=_warnings(warnings))
    if injection.patch:
        answer["response"] |= {
            "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(injection.patch).encode()).decode(),
        }
    return answer


def _answer(request: Request, warnings: Sequence[str] = ()) -> dict[str, Any]:
    response: dict[str, Any] = {"uid": request.uid, "allowed": True}
    if warnings:
        response["warnings"] = list(warnings)
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


def _refused(request: Request, message: str) -> dict[str, Any]:
    status = {"status": "Failure", "code": 422, "reason": "Invalid", "message": message}
    response = {"uid": request.uid, "allowed": False, "status": status}
    return {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}


def _told(findings: Sequence[Finding]) -> str:
    """All of it, a line each; who sent the object knows which one it was."""
    told = [_sentence(each) for each in findings[:MOST_REFUSALS]]
    if rest := len(findings) - len(told):
        told.append(f"and {rest} more")
    return "\n".join(told)


def _sentence(finding: Finding) -> str:
    expected = f" (expected {finding.expected})" if finding.expected else ""
    place = f"{finding.path}: " if finding.path else ""
    return f"{place}{finding.message}{expected} [{finding.reason}]"


def _brief(finding: Finding) -> str:
    """A warning without what was expected where that would make it too long."""
    whole = _sentence(finding)
    return whole if len(whole) <= LONGEST_WARNING else _sentence(finding._replace(expected=""))


def _warnings(texts: Iterable[str]) -> list[str]:
    told = [_short(each) for each in dict.fromkeys(texts)]
    if len(told) <= MOST_WARNINGS:
        return told
    kept = told[: MOST_WARNINGS - 1]
    return [*kept, f"and {len(told) - len(kept)} more; `emailflow lint` and the status say all"]


def _short(text: str) -> str:
    """One line of ASCII that fits: the HTTP header that carries it can't hold more."""
    line = " ".join(text.encode("ascii", "replace").decode().split())
    return line if len(line) <= LONGEST_WARNING else f"{line[: LONGEST_WARNING - 3]}..."


def _object(value: Mapping[str, Any], member: str) -> Mapping[str, Any] | None:
    found = value.get(member)
    return found if isinstance(found, Mapping) else None


def _text(value: Mapping[str, Any], member: str) -> str:
    found = value.get(member)
    return found if isinstance(found, str) else ""
