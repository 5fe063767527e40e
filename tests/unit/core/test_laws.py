"""Laws: whatever happens in whatever order, the facts say it all and nothing is sent twice."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.plans import Branch, Case, Exit, Program, Trigger, Wait
from emailflow_runtime.core import outcomes as o
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.evolve import fold
from emailflow_runtime.core.facts import Entered, MailAttempted
from emailflow_runtime.core.inputs import AttemptPlanned, EventArrived, OutcomeKnown
from emailflow_runtime.core.journey import Record, decode_record, encode_record
from emailflow_runtime.core.publication import publish, read_fact

from .conftest import NOON, SECOND, SIGNED_UP, World, send

DELETED = "com.example.user.deleted"
PROGRAM = Program(
    trigger=Trigger(types=(SIGNED_UP,), key="event.data.cart"),
    exits=(Exit(types=(DELETED,), result="Left"),),
    steps=(
        send("welcome", "settle"),
        Wait(name="settle", next="plan", duration="PT1H"),
        Branch(name="plan", next="settle", cases=(Case("event.data.cart == 'a'", "tips"),)),
        send("tips", "end"),
    ),
)

events = st.tuples(
    st.sampled_from([SIGNED_UP, DELETED, "com.example.other"]),
    st.sampled_from([b'{"cart":"a"}', b'{"cart":"b"}', b"{}"]),
    st.sampled_from(["1", "2", "3", "4"]),
)
outcomes = st.sampled_from(
    [o.Accepted("250"), o.Deferred("Deferred"), o.Refused("Refused"), o.Unknown("ConnectionLost")]
)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("event"), events),
        st.tuples(st.just("timer"), st.integers(0, 7200)),
        st.tuples(st.just("attempt"), st.none()),
        st.tuples(st.just("outcome"), outcomes),
    ),
    max_size=40,
)


def play(history: list[tuple[str, object]], reentry: str) -> tuple[World, list[str]]:
    """A world after a history, and the ids of the mails that were handed over."""
    world = World(PROGRAM, Contact("ab" * 16, email="ana@example.com"), reentry=reentry)
    handed: list[str] = []
    for step, (kind, what) in enumerate(history):
        at = NOON + step * 60 * SECOND
        journeys = list(world.enrolment.journeys.values())
        if kind == "event":
            assert isinstance(what, tuple)
            world.event(what[0], what[1], event_id=what[2], at=at)
        elif kind == "timer" and journeys:
            assert isinstance(what, int)
            world.fire(at + what * SECOND)
        for journey in journeys:
            if journey.mail is None:
                continue
            mail = journey.mail
            if kind == "attempt" and world.give(
                AttemptPlanned(at=at, mail=mail.id, provider="p", start_by=at, settled_by=at)
            ):
                handed.append(mail.id)
            if kind == "outcome":
                assert isinstance(what, o.Accepted | o.Deferred | o.Refused | o.Unknown)
                world.give(OutcomeKnown(at=at, mail=mail.id, attempt=mail.attempts, outcome=what))
    return world, handed


@given(actions, st.sampled_from(["Once", "AfterExit", "Restart", "Concurrent"]))
def test_folding_the_published_facts_gives_the_stored_journeys(
    history: list[tuple[str, object]], reentry: str
) -> None:
    world, _ = play(history, reentry)
    for journey in world.enrolment.journeys.values():
        published = [
            publish(
                fact, runtime="mail_default", flow=journey.flow, contact=journey.contact, cause=journey.event
            )
            for fact in world.facts
            if fact.journey == journey.id
        ]
        facts = [fact for event in published if (fact := read_fact(event)) is not None]
        assert fold(facts) == journey
        assert decode_record(encode_record(Record(journey, tuple(facts)))).journey == journey


@given(actions, st.sampled_from(["Once", "AfterExit", "Restart", "Concurrent"]))
def test_a_mail_is_handed_over_again_only_after_it_was_deferred(
    history: list[tuple[str, object]], reentry: str
) -> None:
    world, handed = play(history, reentry)
    attempts = Counter(fact.mail for fact in world.facts if isinstance(fact, MailAttempted))
    assert Counter(handed) == attempts
    deferred = Counter(
        getattr(fact, "mail", "") for fact in world.facts if type(fact).__name__ == "MailDeferred"
    )
    assert all(count <= deferred[mail] + 1 for mail, count in attempts.items())


@given(actions, st.sampled_from(["Once", "AfterExit", "Restart", "Concurrent"]))
def test_repeating_the_events_that_let_somebody_in_changes_nothing(
    history: list[tuple[str, object]], reentry: str
) -> None:
    world, _ = play(history, reentry)
    before = dict(world.enrolment.journeys)
    for entered in [fact for fact in world.facts if isinstance(fact, Entered)]:
        world.sequence += 1
        repeat = EventArrived(at=2 * NOON, event=entered.event, sequence=world.sequence)
        assert world.give(repeat) == ()
    assert world.enrolment.journeys == before
