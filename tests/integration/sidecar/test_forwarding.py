"""The sidecar without a spool: what its app hears is what the runtime's door says."""

import json

import pytest

from emailflow_runtime.core.cloudevents.errors import InvalidData, TooLarge, UnsupportedMediaType
from emailflow_runtime.errors import Forbidden, Overloaded, Unavailable

MEDIA = "application/cloudevents+json"


async def test_an_event_of_each_mode_is_in_the_log_when_the_answer_comes(door, sidecar, app):
    process = await sidecar()
    binary = await app.post(process, "1", **{"ce-subject": "Gr%C3%B6%C3%9Fe"})
    attributes = {"specversion": "1.0", "source": "/shop", "type": "com.example.cart"}
    whole = {**attributes, "id": "2", "priority": 3, "data": {"a": 1.0}}
    async with app.sent(process, data=json.dumps(whole), headers={"content-type": MEDIA}) as answer:
        structured = answer.status
    batch = json.dumps([{**attributes, "id": str(n)} for n in range(3, 203)])
    async with app.sent(
        process, data=batch, headers={"content-type": "application/cloudevents-batch+json"}
    ) as answer:
        batched = answer.status
    assert (binary.status, structured, batched) == (202, 202, 202)
    assert "emailflow-durable" not in binary.headers
    assert sorted(map(int, door.taken)) == list(range(1, 203))
    assert door.events["1"].subject == "Größe"
    assert door.events["1"].data == b'{"total": 1.0}'
    assert door.events["1"].datacontenttype == "application/json"
    assert door.events["2"].extensions == {"priority": 3}
    assert door.events["3"].datacontenttype is None
    assert door.events["3"].data is None


async def test_what_is_no_cloudevent_does_not_reach_the_door(door, sidecar, app):
    process = await sidecar()
    async with app.sent(process, data=b"{}", headers={"content-type": MEDIA}) as answer:
        assert answer.status == 400
        assert (await answer.json())["reason"] == "MissingAttribute"
    assert door.taken == []


class ContractBroken(InvalidData):
    reason = "ContractBroken"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (ContractBroken("data.total: expected a number"), 400),
        (Forbidden("this ServiceAccount may not send here"), 403),
        (TooLarge("body: expected at most 10 bytes"), 413),
        (UnsupportedMediaType("Content-Type: expected another"), 415),
        (Overloaded("too many", retry_after=9), 429),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_the_doors_refusal_is_passed_on_with_its_words(door, sidecar, app, fault, status):
    process = await sidecar()
    door.faults["1"] = fault
    given = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "com.example.cart"}
    async with app.sent(process, headers=given) as answer:
        said = await answer.json()
    assert answer.status == status
    assert said == {"reason": fault.reason, "message": str(fault)}
    assert answer.headers.get("Retry-After") == ("9" if status == 429 else None)


async def test_a_batch_is_answered_item_by_item(door, sidecar, app):
    process = await sidecar()
    door.faults["2"] = ContractBroken("data.total: expected a number")
    items = [{"specversion": "1.0", "id": str(n), "source": "/shop", "type": "t"} for n in (1, 2, 3)]
    async with app.sent(
        process, data=json.dumps(items), headers={"content-type": "application/cloudevents-batch+json"}
    ) as answer:
        assert answer.status == 207
        assert [each["status"] for each in await answer.json()] == [202, 400, 202]


async def test_a_door_that_is_away_is_said_honestly_and_is_found_again(door, sidecar, app):
    process = await sidecar("--budget=1")
    assert (await app.post(process, "1")).status == 202
    await door.stop()
    answer = await app.post(process, "2")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    await door.start()
    assert (await app.post(process, "2")).status == 202
    assert door.taken == ["1", "2"]


async def test_a_full_log_is_said_with_its_own_retry_after(door, sidecar, app):
    process = await sidecar("--budget=1")
    door.faults["1"] = Unavailable("the log is full", retry_after=30)
    answer = await app.post(process, "1")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "30"


async def test_a_token_that_is_replaced_counts_at_once(door, sidecar, app):
    process = await sidecar("--budget=1")
    assert (await app.post(process, "1")).status == 202
    door.tokens.write_text("the-next-one\n")
    answer = await app.post(process, "2")
    assert answer.status == 503
    process.token.write_text("the-next-one")
    assert (await app.post(process, "2")).status == 202
    assert "the-next-one" not in process.log.read_text()


async def test_health_is_told_outside_the_pod_and_nothing_else(door, sidecar, app):
    process = await sidecar()
    await door.stop()
    assert await app.health(process) == (200, {"status": "ok"})
    assert (await app.health(process, path="/events"))[0] == 404
    assert (await app.health(process, port="events"))[0] == 200


async def test_it_ends_at_once_when_asked(sidecar):
    process = await sidecar()
    assert await process.terminate() == 0
