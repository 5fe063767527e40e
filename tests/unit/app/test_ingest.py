"""The way into the log: whom an event is about, what is refused, and what a full log says."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from emailflow_api.plans import ContactMapping, EventTypePlan, Plans, RuntimePlan
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.contracts import ContractBroken, UnknownType
from emailflow_runtime.app.ingest import MAX_BYTES, LogIngest, ReservedType
from emailflow_runtime.app.stores import DeadLetter, LogEntry
from emailflow_runtime.core.cloudevents.errors import TooLarge
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key
from emailflow_runtime.errors import Unavailable

KIND = "com.example.user.updated"
ANA = b'{"email": "ana@example.com"}'
ANA_WITH_ID = b'{"id": "u1", "email": "ana@example.com"}'


class Outside:
    """Log, aliases and dead letters in memory."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.letters: list[DeadLetter] = []
        self.known: dict[str, str] = {}
        self.away = False
        self.largest = 8 << 20

    async def append(self, entries: Sequence[LogEntry]) -> None:
        if self.away:
            raise Unavailable("away", retry_after=7)
        self.entries += entries

    async def fill(self) -> float:
        return 0.0

    async def lookup(self, identifiers: Iterable[str]) -> Mapping[str, str]:
        return {each: self.known[each] for each in identifiers if each in self.known}

    async def claim(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        return {each: self.known.setdefault(each, key) for each, key in wanted.items()}

    async def keep(self, letter: DeadLetter) -> None:
        self.letters.append(letter)


def plans(**contract: str) -> Plans:
    mapping = ContactMapping(id="event.data.id", email="event.data.email")
    made = EventTypePlan("user-updated", KIND, contact=mapping, **contract)
    return Plans(runtime=RuntimePlan("mail", "default"), event_types={KIND: made})


@pytest.fixture
def outside() -> Outside:
    return Outside()


async def take(outside: Outside, declared: Plans, *events: CloudEvent) -> None:
    ingest = LogIngest(Catalog(declared), outside, outside, outside)  # type: ignore[arg-type]
    running = asyncio.create_task(ingest.run())
    try:
        for event in events:
            await ingest.accept(event)
    finally:
        running.cancel()


def event(data: bytes, number: int = 1, kind: str = KIND) -> CloudEvent:
    return CloudEvent(id=str(number), source="/accounts", type=kind, data=data)


@pytest.mark.parametrize("on_invalid", ["Accept", "DeadLetter", "Reject"])
async def test_an_event_that_waits_is_held_as_bytes_only(outside: Outside, on_invalid: str) -> None:
    """Parsed, `{"x":[{},{}…]}` is 25 times as large, and thousands may wait for the log."""
    declared = plans(schema='{"required": ["id"]}', on_invalid=on_invalid)
    valid, broken = event(ANA_WITH_ID), event(ANA, 2)
    with contextlib.suppress(ContractBroken):
        await take(outside, declared, valid, broken)
    assert "value" not in valid.__dict__
    assert "value" not in broken.__dict__
    assert valid.value == {"id": "u1", "email": "ana@example.com"}


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_thirty_events_of_a_megabyte_that_wait_for_the_log_keep_less_than_200_mb() -> None:
    class Stuck(Outside):
        async def append(self, entries: Sequence[LogEntry]) -> None:
            await asyncio.Event().wait()

    stuck = Stuck()
    ingest = LogIngest(Catalog(plans()), stuck, stuck, stuck)  # type: ignore[arg-type]
    before = resident()
    large = b'{"x":[' + b",".join([b"{}"] * 330_000) + b"]}"
    events = [event(bytes(bytearray(large)), number) for number in range(30)]
    waiting = [asyncio.create_task(ingest.accept(each)) for each in events]
    for _ in waiting:
        await asyncio.sleep(0)
    assert resident() - before < 200 << 20
    assert not any(each.done() for each in waiting)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_an_id_that_comes_later_leads_to_the_address_that_was_first(outside: Outside) -> None:
    await take(outside, plans(), event(ANA, 1), event(ANA_WITH_ID, 2), event(b'{"id": "u1"}', 3))
    first = contact_key("address", "ana@example.com")
    assert [entry.contact for entry in outside.entries] == [first] * 3


async def test_the_id_wins_when_two_contacts_meet(outside: Outside) -> None:
    await take(outside, plans(), event(ANA, 1), event(b'{"id": "u1"}', 2), event(ANA_WITH_ID, 3))
    assert outside.entries[2].contact == contact_key("id", "u1")


async def test_an_event_about_nobody_is_stored_without_a_contact(outside: Outside) -> None:
    await take(outside, plans(), event(b"{}", kind="com.example.other"))
    assert outside.entries[0].contact == ""


async def test_a_subject_that_is_an_address_says_who_it_is_about(outside: Outside) -> None:
    about = CloudEvent(id="1", source="/a", type="com.example.other", subject="Ana@Example.com")
    await take(outside, plans(), about)
    assert outside.entries[0].contact == contact_key("address", "ana@example.com")


async def test_only_emailflow_says_what_emailflow_did(outside: Outside) -> None:
    with pytest.raises(ReservedType):
        await take(outside, plans(), event(ANA, kind="dev.emailflow.message.accepted"))


@pytest.mark.parametrize("on_invalid", ["Reject", "DeadLetter", "Accept"])
async def test_an_event_that_breaks_its_contract(outside: Outside, on_invalid: str) -> None:
    declared = plans(schema='{"required": ["id"]}', on_invalid=on_invalid)
    if on_invalid == "Reject":
        with pytest.raises(ContractBroken, match="required"):
            await take(outside, declared, event(ANA))
    else:
        await take(outside, declared, event(ANA))
    assert (len(outside.entries), len(outside.letters)) == {
        "Reject": (0, 0),
        "DeadLetter": (0, 1),
        "Accept": (1, 0),
    }[on_invalid]


async def test_unknown_types_are_refused_when_the_runtime_says_so(outside: Outside) -> None:
    strict = Plans(runtime=RuntimePlan("mail", "default", unknown_types="Reject"))
    with pytest.raises(UnknownType):
        await take(outside, strict, event(ANA))


async def test_a_log_that_is_away_is_said_with_the_time_to_come_back(outside: Outside) -> None:
    outside.away = True
    with pytest.raises(Unavailable) as raised:
        await take(outside, plans(), event(ANA))
    assert raised.value.retry_after == 7


async def test_the_next_ones_are_looked_up_while_others_are_written(outside: Outside) -> None:
    written, looked_up = asyncio.Event(), asyncio.Event()
    append, lookup = outside.append, outside.lookup

    async def append_slowly(entries: Sequence[LogEntry]) -> None:
        await written.wait()
        await append(entries)

    async def lookup_and_tell(identifiers: Iterable[str]) -> Mapping[str, str]:
        wanted = list(identifiers)
        if contact_key("address", "bo@example.com") in wanted:
            looked_up.set()
        return await lookup(wanted)

    outside.append, outside.lookup = append_slowly, lookup_and_tell  # type: ignore[method-assign]
    ingest = LogIngest(Catalog(plans()), outside, outside, outside)  # type: ignore[arg-type]
    running = asyncio.create_task(ingest.run())
    first = asyncio.create_task(ingest.accept(event(ANA, 1)))
    await asyncio.sleep(0)
    second = asyncio.create_task(ingest.accept(event(b'{"email": "bo@example.com"}', 2)))
    async with asyncio.timeout(5):
        await looked_up.wait()
        assert not first.done()
        written.set()
        await asyncio.gather(first, second)
    running.cancel()
    assert [entry.event.id for entry in outside.entries] == ["1", "2"]


async def test_what_nats_would_not_take_with_its_headers_is_refused_before_it_is_sent(
    outside: Outside,
) -> None:
    outside.largest = 1 << 20
    body = json.dumps({"email": "ana@example.com", "x": "y" * 1_000_000}).encode()
    with pytest.raises(TooLarge):
        await take(outside, plans(), event(body, 1))
    assert outside.entries == []


async def test_large_events_that_wait_together_are_not_written_together(outside: Outside) -> None:
    body = json.dumps({"email": "ana@example.com", "x": "y" * 900_000}).encode()
    ingest = LogIngest(Catalog(plans()), outside, outside, outside)  # type: ignore[arg-type]
    sizes: list[int] = []
    append = outside.append

    async def note(entries: Sequence[LogEntry]) -> None:
        sizes.append(sum(len(entry.event.data or b"") for entry in entries))
        await append(entries)

    outside.append = note  # type: ignore[method-assign]
    accepting = [asyncio.create_task(ingest.accept(event(body, number))) for number in range(30)]
    await asyncio.sleep(0)
    storing = asyncio.create_task(ingest.run())
    async with asyncio.timeout(20):
        await asyncio.gather(*accepting)
    storing.cancel()
    assert sum(sizes) >= 30 * 900_000
    # Two groups at most, each of which may go one event beyond.
    assert max(sizes) <= 2 * (MAX_BYTES + 1_000_000)
