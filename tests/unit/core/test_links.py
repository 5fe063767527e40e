"""Links: signed, without an address, and refused when anything was changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.core.links import Keyring, Link, parse_keyring

LINK = Link("unsubscribe", "ab" * 16, "offers", "m1", "cd" * 16)
OLD, NEW = b"o" * 32, b"n" * 32


def test_a_link_is_read_back() -> None:
    keyring = Keyring({"a": OLD})
    assert keyring.read(keyring.sign(LINK)) == LINK


def test_a_rotated_key_still_reads_what_it_signed() -> None:
    token = Keyring({"a": OLD}).sign(LINK)
    assert Keyring({"b": NEW, "a": OLD}).read(token) == LINK
    assert Keyring({"b": NEW}).read(token) is None


@given(st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_makes_it_no_link(place: int, change: int) -> None:
    keyring = Keyring({"a": OLD})
    token = keyring.sign(LINK)
    place %= len(token)
    other = chr((ord(token[place]) + change) % 128)
    changed = token[:place] + other + token[place + 1 :]
    # The last character of unpadded base64 has bits that mean nothing.
    assert changed == token or place == len(token) - 1 or keyring.read(changed) is None


@given(st.text(max_size=80))
def test_nothing_else_is_a_link(token: str) -> None:
    assert Keyring({"a": OLD}).read(token) is None


@pytest.mark.parametrize("text", ["", "a: short", "no colon"])
def test_a_keyring_without_a_good_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        parse_keyring(text)
