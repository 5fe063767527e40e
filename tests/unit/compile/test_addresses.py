"""Addresses in manifests: what can stand in an envelope passes, what can't is refused by name."""

import pytest

from emailflow_api.compile.addresses import check_address
from emailflow_api.compile.report import Report


def findings(address: str) -> list[tuple[str, str]]:
    report = Report("EmailProvider/default/relay")
    check_address(report, "spec.from.address", address)
    return [(each.reason, each.path) for each in report.findings]


@pytest.mark.parametrize(
    "address",
    [
        "ana@example.com",
        "a.b+c@mail.example.co.uk",
        "o'neil@x.io",
        "ana@localhost",
        "jürgen@müller.de",
        "1@2.3",
    ],
)
def test_addresses(address: str) -> None:
    assert findings(address) == []


@pytest.mark.parametrize(
    "address",
    ["ana", "ana@", "@x.de", "a..b@x.de", ".a@x.de", "a.@x.de", "a@x..de", "a@-x.de", "a@x-.de", "a b@x.de",
     "a@b@c", "<a@x.de>", "a@x.de\r\n", "a\x00@x.de", "a,b@x.de", f"{'a' * 65}@x.de", f"a@{'x' * 64}.de"],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    assert findings(address) == [("InvalidAddress", "spec.from.address")]
