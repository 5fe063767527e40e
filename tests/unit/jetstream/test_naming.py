"""Names in NATS: readable, allowed, and never the same for two things."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.jetstream.naming import FACTS, Names, reader_name, type_tokens
from emailflow_runtime.core.facts import Fact

NAMES = Names("mail", "default")


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [
        ("com.example.cart.updated", "com.example.cart.updated"),
        ("a b", "a%20b"),
        ("a..b", "a.%00.b"),
        ("100%", "100%25"),
        ("*.>", "%2A.%3E"),
        ("größe", "gr%C3%B6%C3%9Fe"),
    ],
)
def test_what_nats_does_not_allow_is_percent_encoded(kind: str, tokens: str) -> None:
    assert type_tokens(kind) == tokens


@pytest.mark.parametrize(("reader", "name"), [("shop_a_b", "shop/a_b"), ("_contacts", "_contacts")])
def test_a_reader_is_shown_by_its_flows_name_or_its_own(reader: str, name: str) -> None:
    assert reader_name(reader) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=2, unique=True))
def test_no_two_types_share_a_subject(kinds: list[str]) -> None:
    subjects = [NAMES.event_subject(0, kind) for kind in kinds]
    assert len(set(subjects)) == len(kinds)
    assert all(re.fullmatch(r"[!-~]+", subject) and ".." not in subject for subject in subjects)


def test_facts_are_all_that_journeys_do():
    assert {fact_type_of(each) for each in Fact.__args__} == FACTS


def fact_type_of(kind):
    return f"dev.emailflow.{kind.__struct_config__.tag}"
