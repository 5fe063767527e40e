"""Which namespaces an object is open to. Apart from the compiler, since the operator asks before it compiles
anything, and in a process that does without the compiler.
"""

from collections.abc import Mapping

from emailflow_api.errors import Finding, Severity
from emailflow_api.kinds.namespaces import Namespaces
from emailflow_api.plans import permissions

NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server puts on every Namespace."""
Labels = Mapping[str, Mapping[str, str]]
"""Labels by namespace."""


def granted(declared: Namespaces, labels: Labels) -> tuple[str, ...]:
    """The namespaces besides an object's own; `*` for all."""
    if declared.from_ == "All":
        return (permissions.EVERY_NAMESPACE,)
    if declared.selector is None:
        return ()
    wanted = declared.selector.match_labels
    return tuple(
        sorted(name for name, has in labels.items() if all(has.get(k) == v for k, v in wanted.items()))
    )


def allows(allowed: Namespaces, labels: Mapping[str, str]) -> bool:
    """Whether a namespace with these labels, other than the runtime's own, may come in."""
    return bool(granted(allowed, {"": labels}))


def not_allowed(subject: str, runtime: tuple[str, str], namespace: str) -> Finding:
    """That a runtime does not let a flow's namespace in."""
    message = f"the EmailRuntime {'/'.join(runtime)} does not let the namespace {namespace} in"
    expected = "the runtime's `allowedNamespaces` to name it"
    return Finding(Severity.ERROR, permissions.NOT_ALLOWED, subject, "spec.runtimeRef", message, expected)
