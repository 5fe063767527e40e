"""Shards among replicas: evenly, the same answer everywhere, and no shard moves without a need."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.core.assignment import assign

members = st.sets(st.sampled_from("abcdefgh"), min_size=1)
holders = st.dictionaries(st.integers(0, 15), st.sampled_from("abcdefgh"))


def test_one_replica_gets_everything():
    assert assign(4, ["a"], {}) == {0: "a", 1: "a", 2: "a", 3: "a"}


def test_a_newcomer_gets_its_share_and_the_rest_stays():
    wanted = assign(4, ["a", "b"], dict.fromkeys(range(4), "a"))
    assert wanted == {0: "a", 1: "a", 2: "b", 3: "b"}


def test_replicas_beyond_the_shards_get_none():
    assert assign(1, ["a", "b", "c"], {0: "b"}) == {0: "b"}


def test_what_somebody_gone_held_is_dealt_out_and_nothing_else_moves():
    wanted = assign(4, ["a", "b"], {0: "a", 1: "b", 2: "gone", 3: "gone"})
    assert (wanted[0], wanted[1]) == ("a", "b")
    assert sorted(wanted.values()) == ["a", "a", "b", "b"]


def test_without_replicas_nobody_owns_anything():
    assert assign(4, [], {0: "a"}) == {}


@given(st.integers(1, 16), members, holders)
def test_every_shard_has_an_owner_and_nobody_two_more_than_another(shards, present, held):
    wanted = assign(shards, present, held)
    assert set(wanted) == set(range(shards))
    counts = Counter(dict.fromkeys(present, 0))
    counts.update(wanted.values())
    assert set(counts) == present
    assert max(counts.values()) - min(counts.values()) <= 1


@given(st.integers(1, 16), members, holders)
def test_once_it_is_so_nothing_moves_any_more(shards, present, held):
    wanted = assign(shards, present, held)
    assert assign(shards, present, wanted) == wanted


@given(st.integers(1, 16), members, holders)
def test_a_member_below_its_share_keeps_what_it_holds(shards, present, held):
    wanted = assign(shards, present, held)
    for member in present:
        holds = {shard for shard in range(shards) if held.get(shard) == member}
        if len(holds) <= shards // len(present):
            assert holds <= {shard for shard, owner in wanted.items() if owner == member}
