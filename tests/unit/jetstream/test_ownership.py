"""Streams say whose they are, and what becomes of them."""

import pytest

from emailflow_api.jetstream.ownership import StreamOwner, owner_of
from emailflow_api.jetstream.topology import streams
from emailflow_api.plans import RuntimePlan


def test_every_stream_says_whose_it_is():
    owner = StreamOwner("mail", "default", "Delete", "uid-1")
    made = streams(RuntimePlan(namespace="mail", name="default", shards=2), owner=owner)
    assert {owner_of(each) for each in made} == {owner}
    assert owner_of(streams(RuntimePlan(namespace="mail", name="default"))[0]) is None


@pytest.mark.parametrize("runtime", ["", "mail", "/default", "mail/"])
def test_a_stream_of_somebody_else_is_nobodys(runtime):
    metadata = {"emailflow.dev/deletion-policy": "Delete", "emailflow.dev/runtime": runtime}
    assert owner_of({"metadata": metadata}) is None
    assert owner_of({}) is None


def test_a_stream_that_says_nothing_of_its_end_stays():
    found = owner_of({"metadata": {"emailflow.dev/runtime": "mail/default"}})
    assert found is not None
    assert found.deletion_policy == "Retain"
