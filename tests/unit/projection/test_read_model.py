"""The read model: reading with interruptions gives byte for byte what reading from the start gives."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emailflow_runtime.adapters.read_model_sqlite import SqliteReadModel
from emailflow_runtime.app.stores import DeliveredEvent
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.publication import publish

SECOND = 1_000_000_000
NOON = 1_795_521_600 * SECOND
CAUSE = CloudEvent(id="e1", source="/shop", type="com.example.cart", data=b"{}")
NAMED = {"flow": "shop_cart", "contact": "c1", "instance": "-", "revision": "r1"}
CONSENT = f.Gate("consent", "Skip", "NoConsent")


def journey(name, outcome):
    """The facts of a journey with one mail that ends like this."""

    def told(kind, number, **fields):
        return kind(journey=name, number=number, at=NOON + number * SECOND, **fields)

    mail = f"mail-{name}"
    begin = [
        told(f.Entered, 1, event=CAUSE, **NAMED),
        told(f.Advanced, 2, path=("pause",), wake_at=NOON + 3 * SECOND, timer=1),
        told(f.MailRequested, 3, path=("remind",), mail=mail, turn=1, template="shop/remind", due=NOON),
    ]
    attempt = told(
        f.MailAttempted, 4, mail=mail, provider="ses", attempt=1, start_by=0, settled_by=0, gates=(CONSENT,)
    )
    ends = {
        "accepted": [attempt, told(f.MailAccepted, 5, mail=mail, provider="ses", attempt=1)],
        "skipped": [told(f.MailSkipped, 4, mail=mail, reason="NoConsent", gates=(CONSENT,))],
        "failed": [attempt, told(f.MailFailed, 5, mail=mail, reason="HardBounce", attempt=1)],
    }
    return [*begin, *ends[outcome], told(f.Completed, 6, result="Completed")]


def log_of(*journeys):
    """The log that holds these journeys one after the other, a producer's event first."""
    events = [(CAUSE, "c1")]
    for facts in journeys:
        events += [
            (publish(fact, runtime="mail_default", flow="shop_cart", contact="c1", cause=CAUSE), "c1")
            for fact in facts
        ]
    return [
        DeliveredEvent(sequence=number, at=NOON + number, token="", event=event, contact=contact)
        for number, (event, contact) in enumerate(events, 1)
    ]


def read(model, log):
    if log:
        model.take(0, log, log[-1].sequence)
    return model


LOG = log_of(journey("j1", "accepted"), journey("j2", "skipped"), journey("j3", "failed"))
OUTCOMES = st.sampled_from(["accepted", "skipped", "failed"])


@settings(max_examples=50, deadline=None)
@given(outcomes=st.lists(OUTCOMES, min_size=1, max_size=5), data=st.data())
def test_reading_with_restarts_and_repeats_is_reading_from_the_start(outcomes, data):
    log = log_of(*(journey(f"j{number}", outcome) for number, outcome in enumerate(outcomes)))
    repeats = data.draw(st.lists(st.sampled_from(log), max_size=10))
    last = log[-1].sequence
    log += [
        DeliveredEvent(last + number, each.at + SECOND, "", each.event, each.contact)
        for number, each in enumerate(repeats, 1)
    ]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(log)), max_size=6)) | {0, len(log)})
    piecewise = SqliteReadModel()
    for start, stop in pairwise(cuts):
        read(piecewise, log[start:stop])

    whole = read(SqliteReadModel(), log)

    assert list(piecewise.dump()) == list(whole.dump())
    piecewise.close()
    whole.close()


def test_a_page_that_fails_half_way_leaves_nothing(tmp_path):
    model = read(SqliteReadModel(tmp_path / "model"), LOG[:3])
    before = list(model.dump())

    class Broken:
        """Not an event."""

    with pytest.raises(AttributeError):
        model.take(0, [LOG[3], Broken()], 5)

    assert list(model.dump()) == before
    assert model.position(0) == 3
    model.close()


def test_a_file_is_taken_up_where_it_was_left(tmp_path):
    read(SqliteReadModel(tmp_path / "model"), LOG[:5]).close()

    again = SqliteReadModel(tmp_path / "model")
    assert again.position(0) == 5
    read(again, LOG[5:])

    assert list(again.dump()) == list(read(SqliteReadModel(), LOG).dump())
    again.close()


def test_a_file_of_another_version_is_made_anew(tmp_path):
    old = read(SqliteReadModel(tmp_path / "model"), LOG)
    old._database.execute("pragma user_version = 0")
    old.close()

    made = SqliteReadModel(tmp_path / "model")

    assert made.position(0) == 0
    assert made.timeline("c1") == []
    made.close()


def test_a_mail_shows_its_decision_record_and_its_outcome():
    model = read(SqliteReadModel(), LOG)

    accepted, skipped = model.mail("mail-j1"), model.mail("mail-j2")

    assert {
        name: accepted[name] for name in ("outcome", "provider", "step", "template", "flow", "attempt")
    } == {
        "outcome": "accepted",
        "provider": "ses",
        "step": "remind",
        "template": "shop/remind",
        "flow": "shop/cart",
        "attempt": 1,
    }
    assert (skipped["outcome"], skipped["reason"]) == ("skipped", "NoConsent")
    assert '"gate":"consent"' in skipped["gates"]
    model.close()


def test_a_funnel_counts_steps_and_what_became_of_mails():
    model = read(SqliteReadModel(), LOG)

    found = {(each["step"], each["what"]): each["count"] for each in model.funnel("shop/cart")}

    assert found == {
        ("", "entered"): 3,
        ("", "completed Completed"): 3,
        ("pause", "reached"): 3,
        ("remind", "reached"): 3,
        ("remind", "requested"): 3,
        ("remind", "accepted"): 1,
        ("remind", "skipped"): 1,
        ("remind", "failed"): 1,
    }
    model.close()


def test_a_timeline_holds_events_and_facts_in_order():
    model = read(SqliteReadModel(), LOG)

    words = [(each["type"], each["what"]) for each in model.timeline("c1")[:4]]

    assert words == [
        ("com.example.cart", "/shop e1"),
        ("dev.emailflow.journey.entered", "entered by com.example.cart /shop e1"),
        ("dev.emailflow.journey.advanced", "waits until 2026-11-24T12:00:03Z"),
        ("dev.emailflow.message.requested", "asks for shop/remind"),
    ]
    model.close()


def test_a_fact_of_a_later_version_is_an_event_like_any_other():
    later = CloudEvent(
        id="x", source="/emailflow/mail/default/flows/shop/cart", type="dev.emailflow.message.seen"
    )
    broken = CloudEvent(id="y", source="/x", type="dev.emailflow.message.accepted", data=b'{"new": 1}')
    log = [DeliveredEvent(n, NOON, "", event, "c1") for n, event in enumerate((later, broken), 1)]

    model = read(SqliteReadModel(), log)

    assert [each["type"] for each in model.timeline("c1")] == [later.type, broken.type]
    model.close()
