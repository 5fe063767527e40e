"""Mails that need something that is named and not there: they wait, in bounds, and no gate opens for them."""

import asyncio

import pytest
from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_runtime.app import backlog

from .shop import ANA, BEN, PLANS, PROGRAM, REVISION, SINK, Shop, with_flow, without

HOUR = 3600
DAY = 24 * HOUR
TERMS = p.Attachment("terms.pdf", "files", "terms.pdf")
ATTACHING = replace(PROGRAM, steps=(replace(PROGRAM.steps[0], attachments=(TERMS,)),))
FILE = p.FilePlan("shop", "files", "terms.pdf", b"%PDF")
WITH_FILE = replace(
    with_flow(PLANS, revision=p.content_hash(ATTACHING)),
    programs={p.content_hash(ATTACHING): ATTACHING},
    files={FILE.id: FILE},
)
ABSENT = {
    "PolicyNotFound": (PLANS, without(PLANS, policies="offers")),
    "ProviderNotFound": (PLANS, without(PLANS, providers="sink")),
    "TemplateNotFound": (PLANS, without(PLANS, templates="shop/hello")),
    "ConfigMapNotFound": (WITH_FILE, without(WITH_FILE, files=FILE.id)),
}
BY_DEFAULT = replace(PLANS, runtime=replace(PLANS.runtime, default_policy="offers"))


@pytest.mark.parametrize("reason", ABSENT)
async def test_a_mail_waits_until_what_it_needs_is_there(reason: str) -> None:
    plans, gone = ABSENT[reason]
    shop = Shop(gone)
    async with shop.open():
        shop.sign_up(ANA)
        [deferred] = await shop.until_told("message.deferred")
        await asyncio.sleep(DAY)
        assert not shop.mailed
        # Once, however long it takes.
        assert len(shop.told("message.deferred")) == 1
        before = asyncio.get_running_loop().time()
        await shop.apply(plans)
        await shop.until_told("message.accepted")
    assert deferred["reason"] == reason
    assert deferred["gates"][-1]["verdict"] == "Hold"
    assert shop.mailed == [ANA]
    assert asyncio.get_running_loop().time() - before < 60


async def test_a_mail_waits_for_a_secret() -> None:
    shop = Shop()
    shop.transports.secrets = False
    async with shop.open():
        shop.sign_up(ANA)
        [deferred] = await shop.until_told("message.deferred")
        await asyncio.sleep(HOUR)
        shop.transports.secrets = True
        before = asyncio.get_running_loop().time()
        await shop.until_told("message.accepted")
    assert deferred["reason"] == "SecretNotFound"
    assert len(shop.told("message.attempted")) == 1
    assert asyncio.get_running_loop().time() - before < 60


@pytest.mark.parametrize("reason", ABSENT)
async def test_it_is_given_up_in_the_end_with_the_reason_and_kept(reason: str) -> None:
    plans, gone = ABSENT[reason]
    shop = Shop(gone)
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.deferred")
        await asyncio.sleep(2 * DAY - HOUR)
        assert not shop.told("message.failed")
        await asyncio.sleep(2 * HOUR)
        [failed] = await shop.until_told("message.failed")
        await shop.until_told("journey.completed")
        await shop.apply(plans)
        await asyncio.sleep(DAY)
    assert failed["reason"] == reason
    assert [(each.reason, each.step) for each in shop.broker.letters] == [(reason, "hello")]
    assert not shop.mailed


async def test_the_provider_says_how_long_what_goes_by_it_waits() -> None:
    patient = replace(SINK, retry=p.Retry(give_up_after="P5D"))
    shop = Shop(without(replace(PLANS, providers={"sink": patient}), policies="offers"))
    async with shop.open():
        shop.sign_up(ANA)
        await asyncio.sleep(4 * DAY)
        assert not shop.told("message.failed")
        await asyncio.sleep(2 * DAY)
        assert shop.told("message.failed")


async def test_what_has_been_asked_for_long_ago_waits_as_long_as_all_others() -> None:
    shop = Shop(with_flow(PLANS, suspend=False))
    shop.provider.mood = "defer"
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.deferred")
        await shop.apply(with_flow(PLANS, suspend=True))
        await asyncio.sleep(5 * DAY)
        shop.provider.mood = "accept"
        await shop.apply(without(PLANS, providers="sink"))
        await asyncio.sleep(1)
        await shop.apply(PLANS)
        await shop.until_told("message.accepted")
    assert not shop.told("message.failed")


@pytest.mark.parametrize("plans", [PLANS, with_flow(BY_DEFAULT, policy="")], ids=["named", "default"])
async def test_nobody_who_unsubscribed_is_mailed_while_the_policy_is_gone(plans: p.Plans) -> None:
    shop = Shop(plans)
    shop.unsubscribe(ANA)
    async with shop.open():
        await shop.apply(without(plans, policies="offers"))
        shop.sign_up(ANA, BEN)
        await asyncio.sleep(DAY)
        assert not shop.mailed
        await shop.apply(plans)
        await shop.until_told("message.accepted")
        [skipped] = await shop.until_told("message.skipped")
    assert skipped["reason"] == "Unsubscribed"
    assert shop.mailed == [BEN]


async def test_the_policy_that_counts_is_the_one_there_is() -> None:
    strict = {"offers": p.PolicyPlan(name="offers", topic="offers", consent="OptIn")}
    shop = Shop(without(PLANS, policies="offers"))
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.deferred")
        await shop.apply(replace(PLANS, policies=strict))
        [skipped] = await shop.until_told("message.skipped")
    assert skipped["reason"] == "NoConsent"
    assert not shop.mailed


async def test_a_mail_that_is_on_its_way_when_the_policy_goes_waits() -> None:
    shop = Shop()
    gone = without(PLANS, policies="offers")
    changing: list[asyncio.Task[None]] = []
    signer = shop.transports.signer

    def going(provider: p.ProviderPlan) -> None:
        changing.append(asyncio.get_running_loop().create_task(shop.apply(gone)))
        signer(provider)

    shop.transports.signer = going  # type: ignore[method-assign]
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.deferred")
        assert changing
        assert not shop.mailed


async def test_another_owner_sends_what_was_held_when_it_is_there() -> None:
    gone = without(PLANS, policies="offers")
    shop = Shop(gone)
    async with shop.open():
        shop.sign_up(ANA, BEN)
        await shop.until_told("message.deferred", 2)
    await shop.apply(PLANS)
    async with shop.open():
        before = asyncio.get_running_loop().time()
        await shop.until_told("message.accepted", 2)
    assert sorted(shop.mailed) == [ANA, BEN]
    assert asyncio.get_running_loop().time() - before < 60


async def test_another_owner_gives_up_when_the_first_one_would_have() -> None:
    shop = Shop(without(PLANS, policies="offers"))
    async with shop.open():
        shop.sign_up(ANA)
        await asyncio.sleep(DAY)
    async with shop.open():
        await asyncio.sleep(DAY - HOUR)
        assert not shop.told("message.failed")
        await asyncio.sleep(2 * HOUR)
        assert shop.told("message.failed")
    assert len(shop.told("message.deferred")) == 1


async def test_who_has_left_meanwhile_is_not_mailed() -> None:
    shop = Shop(without(PLANS, policies="offers"))
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.deferred")
        shop.happens("com.example.left", ANA)
        await shop.until_told("journey.exited")
        await shop.apply(PLANS)
        await asyncio.sleep(DAY)
    assert not shop.mailed


async def test_what_is_too_late_by_its_flow_waits_no_longer() -> None:
    hurried = replace(PROGRAM, steps=(replace(PROGRAM.steps[0], max_lateness="PT1H"),))
    plans = replace(
        with_flow(PLANS, revision=p.content_hash(hurried)), programs={p.content_hash(hurried): hurried}
    )
    shop = Shop(without(plans, policies="offers"))
    async with shop.open():
        shop.sign_up(ANA)
        await asyncio.sleep(2 * HOUR)
        [skipped] = await shop.until_told("message.skipped")
    assert skipped["reason"] == "TooLate"


async def test_patience_with_a_provider_begins_when_everything_is_there() -> None:
    stubborn = replace(PLANS, providers={"sink": replace(SINK, retry=p.Retry(max_attempts=1000))})
    shop = Shop(without(stubborn, policies="offers"))
    shop.provider.mood = "defer"
    async with shop.open():
        shop.sign_up(ANA)
        await asyncio.sleep(2 * DAY - HOUR)
        await shop.apply(stubborn)
        await asyncio.sleep(2 * HOUR)
        shop.provider.mood = "accept"
        await asyncio.sleep(2 * HOUR)
    assert not shop.told("message.failed")
    assert shop.mailed == [ANA]


@pytest.mark.parametrize("names", [backlog.NAMES, 3], ids=["by name", "beyond memory"])
async def test_held_mails_go_the_way_that_their_flow_goes_now(
    monkeypatch: pytest.MonkeyPatch, names: int
) -> None:
    monkeypatch.setattr(backlog, "NAMES", names)
    plain = replace(PROGRAM, steps=(replace(PROGRAM.steps[0], provider=""),))
    plans = replace(
        with_flow(PLANS, revision=p.content_hash(plain)),
        programs={p.content_hash(plain): plain},
        runtime=replace(PLANS.runtime, default_provider="sink"),
        providers={"sink": replace(SINK, suspend=True), "other": replace(SINK, name="other")},
    )
    shop = Shop(plans)
    people = [f"u{number}@example.com" for number in range(10)]
    async with shop.open():
        shop.sign_up(*people)
        await shop.until_told("message.requested", 10)
        await asyncio.sleep(60)
        assert not shop.mailed
        await shop.apply(replace(plans, runtime=replace(plans.runtime, default_provider="other")))
        await shop.until_told("message.accepted", 10)
    assert sorted(shop.mailed) == sorted(people)


async def test_more_than_memory_holds_by_name_go_out_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backlog, "NAMES", 3)
    gone = without(PLANS, policies="offers")
    shop = Shop(gone)
    people = [f"u{number}@example.com" for number in range(20)]
    async with shop.open():
        shop.sign_up(*people)
        await shop.until_told("message.deferred", 20)
        await shop.apply(PLANS)
        await shop.until_told("message.accepted", 20)
    assert sorted(shop.mailed) == sorted(people)


async def test_the_mails_of_other_flows_wait_for_nothing() -> None:
    second = p.FlowPlan(namespace="shop", name="other", revision=REVISION, policy="news")
    policies = {**PLANS.policies, "news": p.PolicyPlan(name="news", topic="news")}
    plans = replace(PLANS, flows={**PLANS.flows, "shop/other": second}, policies=policies)
    shop = Shop(without(plans, policies="offers"))
    await shop.broker.provide_flow("shop_other", ["com.example.signed_up"])
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("message.accepted")
        await asyncio.sleep(DAY)
    assert shop.mailed == [ANA]


async def test_a_mail_that_cannot_be_made_is_not_called_one_without_consent() -> None:
    opted_in = {"offers": p.PolicyPlan(name="offers", topic="offers", consent="OptIn")}
    broken = {name: replace(each, body="{{ nothing.at.all }}") for name, each in PLANS.templates.items()}
    shop = Shop(replace(PLANS, policies=opted_in, templates=broken))
    shop.subscribe(ANA)
    async with shop.open():
        shop.sign_up(ANA)
        [failed] = await shop.until_told("message.failed")
    assert failed["reason"] == "UndefinedVariable"
