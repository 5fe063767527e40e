"""Lanes and breakers: what a provider allows is kept, and a provider that is down is left alone."""

import asyncio

import pytest
from tests.unit.lanes.mails import DOWN, TAKEN, fail, handed_over, now, provider

from emailflow_api.plans import DomainRate
from emailflow_runtime.app.breaker import TRIP_AFTER
from emailflow_runtime.app.lanes import LONGEST_WAIT, Lane, LaneClosed, Lanes
from emailflow_runtime.core.outcomes import Deferred, Outcome, Refused, Unknown

# --- rates ------------------------------------------------------------------------------------------


async def test_two_owners_together_keep_the_rate_from_their_first_mail_on() -> None:
    one, other = Lanes(), Lanes()
    one.share(0.75)
    other.share(0.25)
    plan = provider(per_second=10, burst=4)
    begun = now()
    sends = [handed_over(lanes.to(plan), TAKEN) for lanes in (one, other) for _ in range(40)]
    at = sorted(await asyncio.gather(*sends))
    for place, moment in enumerate(at):
        # A bucket of four, filled at ten a second, that nobody finds full at the start.
        assert place + 1 <= 10 * (moment - begun) + 4 + 0.001


async def test_an_owner_that_gets_a_shard_more_has_saved_nothing_up_for_it() -> None:
    lanes = Lanes()
    lanes.share(0.25)
    plan = provider(per_second=100, burst=100)
    lanes.to(plan)
    await asyncio.sleep(10)
    lanes.share(1.0)
    begun = now()
    at = await asyncio.gather(*(handed_over(lanes.to(plan), TAKEN) for _ in range(40)))
    assert sum(moment == begun for moment in at) <= 25


async def test_a_domains_rate_holds_its_own_mails_only() -> None:
    lane = Lane(provider(per_domain=(DomainRate("slow.example", 1),)), 1.0)
    begun = now()
    slow = [asyncio.create_task(handed_over(lane, TAKEN, f"{n}@Slow.example")) for n in range(4)]
    fast = await asyncio.gather(*(handed_over(lane, TAKEN) for _ in range(20)))
    assert max(fast) - begun < 0.5
    assert sorted(round(at - begun) for at in await asyncio.gather(*slow)) == [1, 2, 3, 4]


async def test_a_mail_whose_turn_is_far_away_is_sent_back_and_comes_when_it_is_near() -> None:
    lane = Lane(provider(per_second=1, concurrency=100), 1.0)
    results = await asyncio.gather(*(handed_over(lane, TAKEN) for _ in range(100)), return_exceptions=True)
    parked = [each for each in results if isinstance(each, LaneClosed)]
    assert {each.reason for each in parked} == {"RateLimited"}
    assert len(results) - len(parked) == pytest.approx(LONGEST_WAIT, abs=2)
    pauses = [each.pause for each in parked]
    assert pauses == sorted(pauses)
    assert pauses[-1] - pauses[0] == pytest.approx(len(parked) - 1, abs=1)


# --- the breaker ------------------------------------------------------------------------------------


async def test_a_provider_that_refuses_connections_is_left_alone_until_a_probe() -> None:
    lane = Lane(provider(), 1.0)
    await fail(lane)
    with pytest.raises(LaneClosed) as closed:
        lane.check()
    assert closed.value.reason == "ProviderDown"


@pytest.mark.parametrize(
    "trouble", [DOWN, Deferred("SenderDeferred", code=421), Unknown("TimedOut"), Deferred("X", code=429)]
)
async def test_what_counts_as_trouble(trouble: Outcome) -> None:
    lane = Lane(provider(), 1.0)
    for _ in range(TRIP_AFTER):
        await handed_over(lane, trouble)
    with pytest.raises(LaneClosed):
        lane.check()


@pytest.mark.parametrize(
    "fine", [TAKEN, Refused("RecipientRefused", code=550), Deferred("RecipientDeferred", code=451)]
)
async def test_a_provider_that_answers_is_not_down(fine: Outcome) -> None:
    lane = Lane(provider(), 1.0)
    for outcome in (DOWN, DOWN, fine, DOWN, DOWN, fine):
        await handed_over(lane, outcome)
    lane.check()


async def test_what_was_too_late_by_our_own_fault_says_nothing() -> None:
    lane = Lane(provider(), 1.0)
    for _ in range(10):
        await handed_over(lane, Deferred("TooLate", systemic=True))
    lane.check()


async def test_one_mail_probes_and_the_others_wait_for_what_comes_of_it() -> None:
    lane = Lane(provider(), 1.0)
    await fail(lane)
    await asyncio.sleep(60)
    hold = asyncio.Event()

    async def probe() -> Outcome:
        await hold.wait()
        return TAKEN

    async with lane.slot("a@example.com"):
        watching = asyncio.create_task(lane.watch(probe()))
        with pytest.raises(LaneClosed):
            await handed_over(lane, TAKEN)
        hold.set()
        await watching
    await asyncio.gather(*(handed_over(lane, TAKEN) for _ in range(20)))


async def test_a_probe_that_was_withheld_leaves_the_next_mail_to_probe() -> None:
    lane = Lane(provider(), 1.0)
    await fail(lane)
    await asyncio.sleep(60)
    async with lane.slot("a@example.com"):
        pass
    await handed_over(lane, TAKEN)
    lane.check()


async def test_each_probe_that_fails_makes_the_pause_longer() -> None:
    lane = Lane(provider(), 1.0)
    await fail(lane)
    pauses = []
    for _ in range(6):
        begun = now()
        while True:
            try:
                await handed_over(lane, DOWN)
                break
            except LaneClosed:
                await asyncio.sleep(1)
        pauses.append(now() - begun)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(60, abs=2)


async def test_silence_opens_it_within_ten_seconds_and_sends_back_who_waits_in_memory() -> None:
    lane = Lane(provider(concurrency=1), 1.0)
    begun = now()

    async def silent() -> Outcome:
        await asyncio.sleep(30)
        return Unknown("TimedOut")

    async def stuck() -> None:
        async with lane.slot("a@example.com"):
            await lane.watch(silent())

    first = asyncio.create_task(stuck())
    behind = [asyncio.create_task(handed_over(lane, TAKEN)) for _ in range(50)]
    found = await asyncio.gather(*behind, return_exceptions=True)
    assert all(isinstance(each, LaneClosed) for each in found)
    assert now() - begun < 10
    await first


async def test_retry_after_is_obeyed_at_once() -> None:
    lane = Lane(provider(), 1.0)
    await handed_over(lane, Deferred("Throttled", systemic=True, retry_after=300))
    await asyncio.sleep(290)
    with pytest.raises(LaneClosed):
        lane.check()
    await asyncio.sleep(11)
    lane.check()


async def test_another_providers_lane_is_another_matter() -> None:
    lanes = Lanes()
    await fail(lanes.to(provider("down")))
    await handed_over(lanes.to(provider("up")), TAKEN)


async def test_a_provider_that_is_down_is_not_met_with_many_connections_at_once() -> None:
    lane = Lane(provider(concurrency=16), 1.0)
    under_way = most = 0

    async def refused() -> Outcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1)
        under_way -= 1
        return DOWN

    async def one() -> None:
        async with lane.slot("a@example.com"):
            await lane.watch(refused())

    await asyncio.gather(*(one() for _ in range(50)), return_exceptions=True)
    assert most == 1


async def test_a_provider_that_is_up_gets_all_the_connections_it_allows() -> None:
    lane = Lane(provider(concurrency=16), 1.0)
    under_way = most = 0

    async def taken() -> Outcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1)
        under_way -= 1
        return TAKEN

    async def one() -> None:
        async with lane.slot("a@example.com"):
            await lane.watch(taken())

    await asyncio.gather(*(one() for _ in range(100)))
    assert most == 16


async def test_an_owner_whose_share_shrinks_begins_nothing_until_it_keeps_to_it() -> None:
    lanes = Lanes()
    plan = provider(concurrency=8)
    lane = lanes.to(plan)
    for _ in range(32):
        await handed_over(lane, TAKEN)
    under_way, most_since = 0, 0
    shrunk, go_on = False, asyncio.Semaphore(0)

    async def slow() -> Outcome:
        nonlocal under_way, most_since
        under_way += 1
        if shrunk:
            most_since = max(most_since, under_way)
        await go_on.acquire()
        under_way -= 1
        return TAKEN

    async def send() -> None:
        async with lane.slot("a@example.com"):
            await lane.watch(slow())

    async with asyncio.TaskGroup() as group:
        for _ in range(24):
            group.create_task(send())
        await asyncio.sleep(0.1)
        assert under_way == 8
        lanes.share(0.5)
        shrunk = True
        for _ in range(24):
            await asyncio.sleep(0.1)
            assert under_way <= 8
            go_on.release()
        await asyncio.sleep(0.1)
    assert most_since <= 4


async def test_an_owner_whose_share_grows_uses_it_at_once() -> None:
    lanes = Lanes()
    lanes.share(0.5)
    lane = lanes.to(provider(concurrency=8))
    for _ in range(32):
        await handed_over(lane, TAKEN)
    under_way, go_on = 0, asyncio.Event()

    async def slow() -> Outcome:
        nonlocal under_way
        under_way += 1
        await go_on.wait()
        return TAKEN

    async def send() -> None:
        async with lane.slot("a@example.com"):
            await lane.watch(slow())

    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(send())
        await asyncio.sleep(0.1)
        assert under_way == 4
        lanes.share(1.0)
        await asyncio.sleep(0.1)
        assert under_way == 8
        go_on.set()


async def test_who_gives_up_waiting_takes_no_place_with_it() -> None:
    lane = Lane(provider(concurrency=1), 1.0)
    async with lane.slot("a@example.com"):
        waiting = [asyncio.create_task(handed_over(lane, TAKEN)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
    waiting[1].cancel()
    await asyncio.gather(*waiting[1:], return_exceptions=True)
    await handed_over(lane, TAKEN)


async def test_a_provider_that_is_gone_leaves_no_lane() -> None:
    lanes = Lanes()
    await fail(lanes.to(provider("gone")))
    await handed_over(lanes.to(provider("relay")), TAKEN)

    lanes.keep_only({"relay"})

    assert [state.provider for state in lanes.states()] == ["relay"]
    lanes.to(provider("gone")).check()


async def test_who_owns_no_shard_any_more_says_nothing_of_providers() -> None:
    lanes = Lanes()
    await fail(lanes.to(provider()))

    lanes.share(0)

    assert lanes.states() == []
    lanes.share(0.5)
    lanes.to(provider()).check()
