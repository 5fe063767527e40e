"""A flow whose program this process does not have, or can't read: nothing of it is decided."""

import asyncio

import pytest
from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_api.plans.entries import PROGRAM, from_entries, to_entries

from .shop import ANA, BEN, FLOW, LEFT, PLANS, REVISION, Shop, with_flow

BROKEN = p.Program(
    trigger=p.Trigger(types=("com.example.signed_up",), filters=(p.Cel("newer.than(this)"),)),
    steps=PLANS.programs[REVISION].steps,
)


def of_a_newer_release() -> p.Plans:
    """The plans as a process reads them when a newer operator has written a step that it does not know."""
    entries = dict(to_entries(PLANS))
    entries[PROGRAM + REVISION] = entries[PROGRAM + REVISION].replace(b'"send"', b'"sendLater"')
    plans = from_entries(entries)
    assert plans is not None
    assert plans.flows
    assert not plans.programs
    return plans


UNUSABLE = {
    "absent": replace(PLANS, programs={}),
    "of a newer release": of_a_newer_release(),
    "not compilable here": replace(PLANS, programs={REVISION: BROKEN}),
    "absent for those on an earlier revision": with_flow(PLANS, earlier=("0123456789abcdef",)),
}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=list(UNUSABLE))
async def test_events_wait_until_the_program_is_there(unusable: p.Plans) -> None:
    shop = Shop(unusable)
    async with shop.open():
        shop.sign_up(ANA)
        await asyncio.sleep(60)
        consumer = await shop.broker.consumer(FLOW, 0)
        assert consumer.standing().floor == 0
        await shop.apply(PLANS)
        await shop.until_told("message.accepted")
    assert shop.mailed == [ANA]
    assert not shop.broker.letters


async def test_events_wait_too_that_came_just_before_the_program_went() -> None:
    shop = Shop()
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.accepted")
        shop.sign_up(BEN)
        await shop.apply(UNUSABLE["absent"])
        await asyncio.sleep(60)
        assert shop.mailed == [ANA]
        await shop.apply(PLANS)
        await shop.until_told("message.accepted", 2)
    assert shop.mailed == [ANA, BEN]


async def test_another_owner_reads_what_one_without_the_program_did_not_acknowledge() -> None:
    shop = Shop(UNUSABLE["of a newer release"])
    async with shop.open():
        shop.sign_up(ANA)
        await asyncio.sleep(60)
    await shop.apply(PLANS)
    async with shop.open():
        await shop.until_told("message.accepted")
    assert shop.mailed == [ANA]


async def test_an_exit_that_came_meanwhile_is_decided_before_the_mail() -> None:
    shop = Shop(with_flow(PLANS, suspend=True))
    async with shop.open():
        shop.sign_up(ANA)
        await shop.apply(UNUSABLE["absent"])
        shop.happens(LEFT, ANA)
        await asyncio.sleep(60)
        await shop.apply(PLANS)
        await shop.until_told("journey.exited")
        await asyncio.sleep(60)
    assert not shop.mailed


async def test_a_mail_that_is_out_gets_its_outcome_once_the_program_is_there() -> None:
    shop = Shop()
    shop.provider.mood = "hang"
    async with shop.open():
        shop.sign_up(ANA)
        await shop.provider.reached.wait()
        await shop.apply(UNUSABLE["absent"])
        await asyncio.sleep(600)
        assert not shop.told("message.unknown")
        await shop.apply(PLANS)
        await shop.until_told("message.unknown")
        await shop.until_told("journey.completed")


async def test_what_an_owner_left_half_way_is_settled_once_the_program_is_there() -> None:
    shop = Shop()
    shop.provider.mood = "hang"
    async with shop.open():
        shop.sign_up(ANA)
        await shop.provider.reached.wait()
    await shop.apply(UNUSABLE["of a newer release"])
    async with shop.open():
        await asyncio.sleep(600)
        assert not shop.told("message.unknown")
        await shop.apply(PLANS)
        await shop.until_told("message.unknown")


async def test_a_mail_that_was_asked_for_waits_for_its_program() -> None:
    shop = Shop()
    shop.provider.mood = "defer"
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.deferred")
        await shop.apply(UNUSABLE["absent"])
        shop.provider.mood = "accept"
        await asyncio.sleep(600)
        assert not shop.mailed
        await shop.apply(PLANS)
        await shop.until_told("message.accepted")
    assert shop.mailed == [ANA]
