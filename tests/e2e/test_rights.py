"""The operator's Roles hold what it uses: nothing is refused, and no right lies idle.

The API server counts it (rights.py). This runs behind the tests that make the operator work.
"""

from tests.e2e.cluster import kubectl, wait
from tests.e2e.rights import Ledger

MADE = "--selector=app.kubernetes.io/managed-by=emailflow-operator"


def test_each_right_is_used_and_nothing_more_is_asked(shop: str, release: str, ledger: Ledger) -> None:
    kubectl("delete", "lease", "emailflow-operator", "--namespace", release)
    wait("lease", "emailflow-operator", release, until="create")
    counts = ledger.counts()
    applied = {right.what for right, count in counts.items() if right.verb == "patch" and count}
    unused = {
        right
        for right, count in counts.items()
        # To apply what isn't there is a PATCH, for which the server asks for the right to create, too.
        if not count and not (right.verb == "create" and right.what in applied and is_made(right.what))
    }
    assert unused == set()
    assert ledger.refused() == 0


def is_made(resource: str) -> bool:
    """Whether there is an object of this resource that the operator has made."""
    return bool(kubectl("get", resource, "--all-namespaces", MADE, "--output=name").strip())
