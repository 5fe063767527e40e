"""What a runtime needs of its NATS in bytes, and what is said when it isn't there."""

import pytest

from emailflow_api.plans import RuntimePlan
from emailflow_operator.errors import MaxPayloadTooSmall
from emailflow_operator.reconcile.storage import check_max_payload, storage

RUNTIME = RuntimePlan(namespace="mail", name="default", max_body_bytes=1 << 20)


def test_a_nats_that_takes_too_little_is_refused() -> None:
    check_max_payload(4 << 20, RUNTIME)
    with pytest.raises(MaxPayloadTooSmall, match=r"max_payload 4194303: expected 4194304.*maxBodyBytes"):
        check_max_payload((4 << 20) - 1, RUNTIME)


@pytest.mark.parametrize(
    ("used", "status", "reason"),
    [
        (0, "True", "StorageAvailable"),
        (94 << 20, "True", "StorageAvailable"),
        (95 << 20, "False", "StorageFull"),
    ],
)
def test_a_share_that_is_nearly_full_is_said(used: int, status: str, reason: str) -> None:
    said = storage({"storage": used, "limits": {"max_storage": 100 << 20}})
    assert said is not None
    assert (said.type, said.status, said.reason) == ("StorageAvailable", status, reason)


@pytest.mark.parametrize("limits", [{}, {"max_storage": -1}])
def test_nothing_is_said_where_there_is_no_limit(limits: dict[str, int]) -> None:
    assert storage({"storage": 1, "limits": limits}) is None
