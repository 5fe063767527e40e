"""Mailboxes in headers: display names quoted or encoded, domains as A-labels.

Whether an address exists, or may be mailed, is decided elsewhere; this only says how it is written.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

import idna

from emailflow_api.plans import Address
from emailflow_runtime.rendering.mime.fields import InvalidHeader, check_text, encoded_words, fold, is_plain

_LONGEST = 254
"""Octets in an address: a path is at most 256 with its angle brackets (RFC 5321 4.5.3.1.3)."""
_LONGEST_NAME = 60
"""Characters of a display name kept as a quoted-string; a longer one becomes encoded-words, which fold."""

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]|[^\x00-\x7f\s]"
_LOCAL = re.compile(rf'(?:{_ATEXT})+(?:\.(?:{_ATEXT})+)*|"(?:[ !#-\[\]-~]|\\[ -~])*"')
_DOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[[!-Z^-~]+\]")


@lru_cache(maxsize=1024)
def addr_spec(address: str, *, field: str) -> str:
    """The address as headers and envelopes carry it: the domain in A-labels (RFC 5890), the rest untouched.

    A result that is not ASCII has such a local part and needs SMTPUTF8 (RFC 6531). Raises InvalidHeader
    naming `field`, never the address, for what is no addr-spec (RFC 5322 3.4.1, without its obsolete forms).
    """
    check_text(field, address)
    local, at, domain = address.rpartition("@")
    if not (at and _LOCAL.fullmatch(local)):
        raise InvalidHeader(f"{field}: expected a local part, an at sign and a domain")
    written = f"{local}@{a_labels(domain, field=field)}"
    if (size := len(written.encode())) > _LONGEST:
        raise InvalidHeader(f"{field}: an address of {size} octets, expected {_LONGEST} at most")
    return written


@lru_cache(maxsize=1024)
def a_labels(domain: str, *, field: str) -> str:
    """The domain in ASCII (IDNA 2008; RFC 5890); an address literal stays. Raises InvalidHeader."""
    try:
        written = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise InvalidHeader(f"{field}: the domain is no internationalised name (IDNA 2008)") from error
    if not _DOMAIN.fullmatch(written):
        raise InvalidHeader(f"{field}: expected a domain name")
    return written


def address_field(name: str, mailboxes: Sequence[Address]) -> str:
    """A field of mailboxes (`From`, `To`, `Cc`, `Reply-To`). Raises InvalidHeader."""
    words: list[str] = []
    for mailbox in mailboxes:
        if words:
            words[-1] += ","
        words += _mailbox(name, mailbox)
    return fold(name, words)


def _mailbox(field: str, mailbox: Address) -> list[str]:
    """The words of one mailbox. White space in a display name is one space each (RFC 5322 3.2.5)."""
    address = addr_spec(mailbox.address, field=field)
    check_text(field, mailbox.name)
    name = " ".join(mailbox.name.split())
    if not name:
        return [address]
    return [*_phrase(name, column=len(field) + 2), f"<{address}>"]


def _phrase(name: str, *, column: int) -> list[str]:
    if is_plain(name) and len(name) <= _LONGEST_NAME:
        if _ATOMS.fullmatch(name):
            return name.split(" ")
        escaped = name.replace("\\", r"\\").replace('"', r"\"")
        return [f'"{escaped}"']
    return encoded_words(name, column=column)
