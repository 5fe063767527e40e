"""The sidecar with a spool: a 202 holds whatever happens to the container or to the runtime."""

import asyncio
import contextlib

import aiohttp

from emailflow_runtime.core.cloudevents.errors import InvalidData


def spool(tmp_path, spool_bytes=8 << 20, grace=30):
    return f"--spool={tmp_path / 'spool'}", f"--spool-bytes={spool_bytes}", f"--grace={grace}"


async def test_events_are_accepted_while_the_runtime_is_away_and_arrive_in_order(
    tmp_path, door, sidecar, app
):
    process = await sidecar(*spool(tmp_path))
    await door.stop()
    for number in range(300):
        answer = await app.post(process, str(number))
        assert answer.status == 202
        assert answer.headers["EmailFlow-Durable"] == "spool"
    assert (await app.health(process))[1]["spooled"] == 300
    await door.start()
    await door.until(300)
    assert list(dict.fromkeys(door.taken)) == [str(n) for n in range(300)]
    assert door.events["7"].data == b'{"total": 1.0}'


async def test_every_202_arrives_though_the_container_is_killed_again_and_again(tmp_path, door, sidecar, app):
    process = await sidecar(*spool(tmp_path))
    accepted: set[str] = set()
    progress = asyncio.Condition()

    async def produce(producer):
        for number in range(120):
            event_id = f"{producer}-{number}"
            while event_id not in accepted:
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    if (await app.post(process, event_id)).status == 202:
                        async with progress:
                            accepted.add(event_id)
                            progress.notify_all()

    async def disturb():
        for round_ in range(4):
            async with progress:
                await progress.wait_for(lambda: len(accepted) >= 100 * (round_ + 1))  # noqa: B023
            await process.kill()
            if round_ == 1:
                await door.stop()
            if round_ == 2:
                await door.start()
            await process.start()

    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        group.create_task(disturb())
        for producer in range(5):
            group.create_task(produce(producer))
    await door.until(600)
    assert set(door.events) == accepted
    assert len(accepted) == 600


async def test_the_spool_is_drained_before_the_container_ends(tmp_path, door, sidecar, app):
    process = await sidecar(*spool(tmp_path))
    await door.stop()
    for number in range(50):
        await app.post(process, str(number))
    ending = asyncio.create_task(process.terminate())
    await door.start()
    assert await ending == 0
    assert len(door.events) == 50


async def test_what_could_not_be_drained_in_time_is_there_after_a_restart(tmp_path, door, sidecar, app):
    process = await sidecar(*spool(tmp_path, grace=0))
    await door.stop()
    await app.post(process, "1")
    assert await process.terminate() == 0
    assert "1 events are left" in process.log.read_text()
    await door.start()
    await process.start()
    await door.until(1)


async def test_a_full_spool_is_an_honest_no(tmp_path, door, sidecar, app):
    process = await sidecar(*spool(tmp_path, spool_bytes=4 << 20))
    await door.stop()
    given = {"ce-specversion": "1.0", "ce-source": "/shop", "ce-type": "t", "content-type": "text/plain"}
    statuses = []
    for number in range(18):
        async with app.sent(process, data=b"x" * 250_000, headers={**given, "ce-id": str(number)}) as answer:
            statuses.append(answer.status)
            said = await answer.text()
    assert statuses == [202] * 16 + [503] * 2
    assert "SpoolFull" in said
    assert answer.headers["Retry-After"] == "5"
    await door.start()
    await door.until(16)


async def test_what_the_door_refuses_later_is_counted_and_kept(tmp_path, door, sidecar, app):
    process = await sidecar(*spool(tmp_path))
    await door.stop()
    door.faults["1"] = InvalidData("data.total: expected a number")
    for number in range(3):
        assert (await app.post(process, str(number))).status == 202
    await door.start()
    async with asyncio.timeout(30):
        while (await app.health(process))[1] != {"status": "ok", "spooled": 0, "refused": 1}:
            pass
    assert door.taken == ["0", "2"]
    assert "InvalidData" in (tmp_path / "spool/refused.jsonl").read_text()
    assert "total" not in process.log.read_text()
