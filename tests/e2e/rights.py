"""Which of its rights the operator uses, by the API server's own counters.

A FlowSchema (API Priority and Fairness) for each right sorts the operator's requests, and the server counts
them by FlowSchema. It sorts before it authorizes, so one more schema gets what no right covers: requests that
are refused. All lead to the priority level that ServiceAccounts have anyway, and change nothing.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.e2e.cluster import kubectl

OTHER = "e2e-rights-other"
LEVEL = "workload-low"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_COUNTER = re.compile(
    r"^apiserver_flowcontrol_dispatched_requests_total\{flow_schema=\"(e2e-rights-[^\"]+)\".*\} (\S+)$",
    re.MULTILINE,
)


class Right(NamedTuple):
    """One verb on one resource, in one namespace or (empty) everywhere. Without a group, `what` is a path."""

    verb: str
    what: str
    group: str | None
    namespace: str = ""


def rights_in(roles: list[dict[str, Any]], name: str) -> list[Right]:
    """What Roles and ClusterRoles whose names begin with `name` allow; those in a namespace come first."""
    found: dict[Right, None] = {}
    for role in sorted(roles, key=lambda role: role["kind"] == "ClusterRole"):
        if not role["metadata"]["name"].startswith(name):
            continue
        namespace = role["metadata"].get("namespace", "")
        for rule in role["rules"]:
            found |= dict.fromkeys(Right(*each, namespace) for each in _allowed(rule))
    return list(found)


def _allowed(rule: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    for verb in rule["verbs"]:
        for path in rule.get("nonResourceURLs", ()):
            yield verb, path, None
        for group in rule.get("apiGroups", ()):
            for resource in rule["resources"]:
                yield verb, resource, group


class Ledger:
    """Counts requests of one ServiceAccount (`namespace`, `name`) by right."""

    def __init__(self, namespace: str, name: str, rights: list[Right]) -> None:
        """Raises AssertionError when the API server takes no FlowSchema."""
        self._account = {"namespace": namespace, "name": name}
        self._names = {f"e2e-rights-{number}": right for number, right in enumerate(rights)}
        schemas = [
            self._schema(schema, _rule(right), 4000 if right.namespace else 5000)
            for schema, right in self._names.items()
        ]
        schemas.append(self._schema(OTHER, _everything(), 6000))
        everything = {"apiVersion": "v1", "kind": "List", "items": schemas}
        kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(everything))

    def _schema(self, name: str, rule: dict[str, Any], precedence: int) -> dict[str, Any]:
        subject = {"kind": "ServiceAccount", "serviceAccount": self._account}
        return {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": {"name": name},
            "spec": {
                "matchingPrecedence": precedence,
                "priorityLevelConfiguration": {"name": LEVEL},
                "rules": [{"subjects": [subject], **rule}],
            },
        }

    def counts(self) -> dict[Right, int]:
        """Requests of each right until now."""
        seen = self._seen()
        return {right: seen.get(name, 0) for name, right in self._names.items()}

    def refused(self) -> int:
        """Requests that no right covers."""
        return self._seen().get(OTHER, 0)

    def _seen(self) -> dict[str, int]:
        metrics = kubectl("get", "--raw", "/metrics")
        return {name: int(float(count)) for name, count in _COUNTER.findall(metrics)}


def _rule(right: Right) -> dict[str, Any]:
    if right.group is None:
        return {"nonResourceRules": [{"verbs": [right.verb], "nonResourceURLs": [right.what]}]}
    about = {"apiGroups": [right.group], "resources": [right.what], "verbs": [right.verb]}
    where = {"namespaces": [right.namespace or "*"], "clusterScope": not right.namespace}
    return {"resourceRules": [{**about, **where}]}


def _everything() -> dict[str, Any]:
    """Of resources. Everybody may ask which there are."""
    what = {name: ["*"] for name in ("apiGroups", "resources", "verbs", "namespaces")}
    return {"resourceRules": [{**what, "clusterScope": True}]}
