"""The machinery's bounds, made so small that tens of events meet them where thousands or megabytes would.

They are constants of modules, so they hold for whoever runs in this process; a world is played alone.
"""

import importlib
from contextlib import contextmanager

HEADERS = 64 << 10
"""Bytes that `fitting` and `ingest` keep for headers. That isn't made smaller."""
LARGEST = HEADERS + (96 << 10)
"""Bytes that one message may have."""
ANSWER = 16
"""Messages that nats-server gives for one multi-get (1,024)."""

_RUNTIME = "emailflow_runtime"
OPEN_JOURNEYS = f"{_RUNTIME}.app.fitting.OPEN_JOURNEYS"
OPEN_BYTES = f"{_RUNTIME}.app.fitting.OPEN_BYTES"
ENROLMENTS = f"{_RUNTIME}.app.enrolments.BYTES"
CONTACTS = f"{_RUNTIME}.app.contacts.BYTES"
ENDED = f"{_RUNTIME}.core.remembering.ENDED"
TYPES = f"{_RUNTIME}.app.progress.TYPES"
SMALL = {
    OPEN_JOURNEYS: 40,
    OPEN_BYTES: 300 << 10,
    ENROLMENTS: 60_000,
    CONTACTS: 3_000,
    ENDED: 4,
    TYPES: 8,
    f"{_RUNTIME}.app.slicing.TOGETHER": 5,
    f"{_RUNTIME}.core.reactions.arriving.TOGETHER": 5,
    f"{_RUNTIME}.app.recovery.AT_ONCE": 5,
    f"{_RUNTIME}.app.writer.MAX_GROUP": 24,
    f"{_RUNTIME}.app.writer.MAX_BYTES": 200 << 10,
    f"{_RUNTIME}.app.relay.MAX_BYTES": 200 << 10,
    f"{_RUNTIME}.app.relay.ROOM": 60,
    f"{_RUNTIME}.app.relay.ROOM_BYTES": 400 << 10,
    f"{_RUNTIME}.adapters.jetstream.state_store.PORTION": 64 << 10,
    f"{_RUNTIME}.adapters.jetstream.state_store.AT_ONCE": 8,
}


@contextmanager
def kept(limits):
    """As long as this lasts, these bounds hold."""
    places = [name.rpartition(".") for name in limits]
    modules = [importlib.import_module(module) for module, _, _ in places]
    before = [getattr(module, name) for module, (_, _, name) in zip(modules, places, strict=True)]
    try:
        for module, (_, _, name), value in zip(modules, places, limits.values(), strict=True):
            setattr(module, name, value)
        yield
    finally:
        for module, (_, _, name), value in zip(modules, places, before, strict=True):
            setattr(module, name, value)
