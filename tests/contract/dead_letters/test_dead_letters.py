"""What can't be handled is kept before anybody goes on, also when the same comes twice."""

import pytest

from emailflow_runtime.app.stores import DeadLetter
from emailflow_runtime.core.cloudevents.event import CloudEvent

EVENT = CloudEvent(id="e1", source="/shop", type="com.example.cart.updated", data=b'{"total": 1}')


@pytest.mark.parametrize("origin", ["shop_cart", "_receiver"])
async def test_a_letter_is_kept_whole(process, backend, origin):
    letter = DeadLetter("LoopDetected", "hops: expected 16 at most", origin, EVENT, "c1", 7)

    await process.dead_letters.keep(letter)

    assert await backend.letters() == [letter]


async def test_letters_are_kept_in_order_repeats_among_them(process, other, backend):
    first = DeadLetter("NoContact", "the event names no contact", "shop_cart", EVENT)
    second = DeadLetter("PoisonInput", "ValueError", "shop_cart", EVENT, "c1", 8)
    await process.dead_letters.keep(first)
    await other.dead_letters.keep(second)
    await process.dead_letters.keep(first)

    assert await backend.letters() == [first, second, first]
