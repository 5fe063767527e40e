"""Publishes events into EVENTS as a door does, at a rate: `python -m harness.events JSON`, its own process.

Open loop: event number n is due at a fixed moment, whatever happened to those before; what is due together
shares a commit. Prints JSON when done: `start` (monotonic nanoseconds), and how long acknowledgements took.
"""

import json
import sys
import time

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key
from harness.raw_nats import Frame, RawNats

NOTE = "x" * 330
MAX_BATCH = 500


def frame(names: Names, kind: str, number: int, run: str) -> Frame:
    """Event `number` as a door stores it, about 700 bytes in all; its contact is a person of its own."""
    address = f"u{number}@example.com"
    data = {
        "email": address,
        "total": 10 + number % 90,
        "cart_id": f"c{number}",
        "customer": {"name": f"Customer {number}", "locale": "en", "plan": "pro"},
        "note": NOTE,
    }
    event = CloudEvent(
        id=f"{run}-{number}",
        source="/bench",
        type=kind,
        time="2026-01-01T00:00:00Z",
        datacontenttype="application/json",
        data=json.dumps(data).encode(),
    )
    headers, payload = nats.encode(event)
    headers["EmailFlow-Contact"] = contact_key("address", address)
    block = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return names.event_subject(0, kind).encode(), block.encode(), payload


def main() -> None:
    """Publish."""
    options = json.loads(sys.argv[1])
    names = Names(options["namespace"], options["name"])
    first, count, rate = options["first"], options["count"], options["rate"]
    frames = [frame(names, options["type"], first + each, options["run"]) for each in range(count)]
    connection = RawNats(options["nats"])
    start = time.monotonic()
    sent, acknowledged = 0, []
    while sent < count:
        due = min(count, int((time.monotonic() - start) * rate) + 1)
        if due == sent:
            # Open loop: the schedule is the clock's.
            time.sleep(max(0.0, start + sent / rate - time.monotonic()))
            continue
        end = min(due, sent + MAX_BATCH)
        began = time.monotonic()
        connection.publish(frames[sent:end])
        acknowledged.append(time.monotonic() - began)
        sent = end
    connection.close()
    print(
        json.dumps(
            {"start": int(start * 1e9), "took": time.monotonic() - start, "worst_ack": max(acknowledged)}
        )
    )


if __name__ == "__main__":
    main()
