"""Addresses that stand in manifests: whether they can be written into a header and an envelope at all."""

import re
from collections.abc import Sequence

from emailflow_api import plans as p
from emailflow_api.compile.report import Report
from emailflow_api.kinds.send import Mailbox

_ATOM = r"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]+"
_LABEL = r"(?!-)[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]{1,63}(?<!-)"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
"""RFC 5321 4.1.2 Mailbox with a Dot-string, and what RFC 6531 3.3 adds: letters of all languages."""


def check_address(report: Report, path: str, address: str) -> None:
    """Report what is no address."""
    if not _ADDRESS.fullmatch(address):
        report.error(
            "InvalidAddress", path, f"`{address}` is not an address", "an address like ana@example.com"
        )


def mailbox(report: Report, path: str, declared: Mailbox | None) -> p.Address | None:
    """A mailbox as plans hold it; its address is checked."""
    if declared is None:
        return None
    check_address(report, f"{path}.address", declared.address)
    return p.Address(declared.address, declared.name or "")


def addresses(report: Report, path: str, declared: Sequence[str]) -> tuple[str, ...]:
    """Plain addresses as plans hold them, each checked."""
    for index, address in enumerate(declared):
        check_address(report, f"{path}[{index}]", address)
    return tuple(declared)
