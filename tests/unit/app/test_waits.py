"""What waits comes out when it is due, in order, whenever and however often it was put in."""

from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.app.waits import SPAN, Wait, Waits

MANY = 1 << 30
moments = st.integers(min_value=1, max_value=40 << SPAN)
names = st.text(min_size=1, max_size=40)
waits = st.builds(Wait, moments, st.sampled_from(["shop_cart", "shop_nudge"]), names, names)


@given(st.lists(st.one_of(waits, moments)))
def test_at_each_moment_exactly_what_is_due_comes_out_in_order(course: list[Wait | int]) -> None:
    queue, there, now = Waits(), list[Wait](), 0
    for each in course:
        if isinstance(each, Wait):
            queue.put(each)
            there.append(each)
            continue
        now = max(now, each)
        due = sorted(wait for wait in there if wait.due <= now)
        there = [wait for wait in there if wait.due > now]
        assert queue.take(now, MANY) == due
    assert queue.take(41 << SPAN, MANY) == sorted(there)
    assert queue.next_due() is None


@given(st.lists(waits, min_size=1))
def test_nobody_has_to_look_after_something_is_due(put: list[Wait]) -> None:
    queue = Waits()
    for each in put:
        queue.put(each)
    left = len(put)
    while (moment := queue.next_due()) is not None:
        assert moment <= min(each.due for each in sorted(put)[-left:])
        left -= len(queue.take(moment, MANY))
    assert left == 0


@given(st.lists(waits), st.integers(min_value=1, max_value=5))
def test_who_takes_a_few_at_a_time_gets_all_of_them(put: list[Wait], few: int) -> None:
    queue, taken = Waits(), list[Wait]()
    for each in put:
        queue.put(each)
    while queue.next_due() is not None:
        some = queue.take(41 << SPAN, few)
        assert len(some) <= few
        taken += some
    assert sorted(taken) == sorted(put)
