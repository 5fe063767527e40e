"""DEADLETTER on a real server: a letter is kept whole, with why and where from in its headers."""

from emailflow_runtime.adapters.jetstream.dead_letter_stream import DeadLetterStream
from emailflow_runtime.app.stores import DeadLetter
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.core.cloudevents.event import CloudEvent

EVENT = CloudEvent(id="e1", source="/shop", type="com.example.cart.updated", data=b'{"total": 1}')


async def test_a_dead_letter_is_kept_with_its_headers(connection, names):
    letter = DeadLetter(
        reason="LoopDetected",
        message="hops: expected\n16 at most, Größe",
        origin="shop_cart",
        event=EVENT,
        contact="c1",
        sequence=7,
    )

    await DeadLetterStream(connection, names).keep(letter)

    subject = names.dead_letter_subject("LoopDetected", "shop_cart")
    kept = await connection.direct_get(names.dead_letters, {"last_by_subj": subject})
    assert nats.decode(kept.headers, kept.data) == EVENT
    assert {
        name: kept.headers[f"EmailFlow-{name}"] for name in ("Reason", "Origin", "Sequence", "Contact")
    } == {
        "Reason": "LoopDetected",
        "Origin": "shop_cart",
        "Sequence": "7",
        "Contact": "c1",
    }
    assert kept.headers["EmailFlow-Message"] == r"hops: expected 16 at most, Gr\xf6\xdfe"
