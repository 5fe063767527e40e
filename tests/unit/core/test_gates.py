"""The gates that a policy's limits and the runtime's delivery mode close."""

from typing import Any

import pytest
from msgspec.structs import replace

from emailflow_api.expressions import bind
from emailflow_api.plans import Cap, PolicyPlan, QuietHours
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.gates import Situation, judge, passes

from .conftest import NOON, SECOND, MakeWorld, send

HOUR = 3600 * SECOND


@pytest.fixture
def situation(make_world: MakeWorld) -> Situation:
    world = make_world(send())
    world.event()
    journey = world.journey
    assert journey.mail is not None
    return Situation(
        journey=journey,
        mail=journey.mail,
        step=send(),
        program=world.setting.programs[journey.revision],
        policy=None,
        consent=Consent(),
        values=bind(event={}, now=NOON),
        zone="UTC",
        at=NOON,
    )


def policy(**limits: Any) -> PolicyPlan:
    return PolicyPlan(name="offers", topic="offers", **limits)


def closed(situation: Situation, **changes: Any) -> tuple[str, str, str, int]:
    last = judge(replace(situation, **changes))[-1]
    return last.gate, last.verdict, last.reason, last.until


def test_nothing_stands_in_the_way(situation: Situation) -> None:
    assert passes(judge(situation))


def test_a_capped_mail_is_dropped_or_waits_as_the_policy_says(situation: Situation) -> None:
    caps = (Cap(1, "P1D"),)
    sent = {"other": NOON - HOUR}
    skip = closed(situation, policy=policy(caps=caps), sent=sent)
    assert skip == ("cap", "Skip", "FrequencyCapped", 0)
    held = closed(situation, policy=policy(caps=caps, on_capped="Defer"), sent=sent)
    assert held == ("cap", "Hold", "FrequencyCapped", NOON + 23 * HOUR)


def test_a_mail_does_not_stand_in_its_own_way(situation: Situation) -> None:
    again = replace(situation, policy=policy(caps=(Cap(1, "P1D"),)), sent={situation.mail.id: NOON - HOUR})
    assert passes(judge(again))


def test_quiet_hours_hold_or_drop(situation: Situation) -> None:
    quiet = QuietHours("11:00", "13:00")
    held = closed(situation, policy=policy(quiet_hours=quiet))
    assert held == ("quietHours", "Hold", "QuietHours", NOON + HOUR)
    dropped = closed(situation, policy=policy(quiet_hours=replace(quiet, action="Skip")))
    assert dropped == ("quietHours", "Skip", "QuietHours", 0)


def test_captured_mails_are_made_and_go_nowhere(situation: Situation) -> None:
    assert closed(situation, captured=True) == ("delivery", "Skip", "Captured", 0)
