"""The census: whatever journeys do, the counts are what a recount of their records gives."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.plans import FlowPlan
from emailflow_runtime.app.census import Census
from emailflow_runtime.app.stores import RecordHead
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.journey import Journey, Mail

EVENT = CloudEvent(id="e1", source="/shop", type="com.example.signed_up")
FLOW = FlowPlan(namespace="shop", name="hello", revision="r2")


def journey(instance, stage):
    revision, step, running, settled = stage
    status = "Accepted" if settled else "Attempted"
    mail = Mail(id="m", step=step, turn=1, template="t", due=1, status=status)
    return Journey(
        id=instance,
        flow=FLOW.id,
        contact="c",
        instance=instance,
        revision=revision,
        event=EVENT,
        at=1,
        sequence=1,
        step=step,
        running=running,
        mail=mail,
    )


stages = st.tuples(st.sampled_from(["r1", "r2"]), st.sampled_from("ab"), st.booleans(), st.booleans())
courses = st.lists(st.tuples(st.sampled_from("123"), stages), max_size=30)


def moved(census, course):
    """The journeys as they stand after a course of changes that the census has seen."""
    now = {}
    for instance, stage in course:
        after = journey(instance, stage)
        census.moved(now.get(instance), after)
        now[instance] = after
    return now


@given(courses)
def test_counts_are_those_of_a_recount(course):
    census = Census()
    open_ones = [each for each in moved(census, course).values() if not each.finished]

    assert census.journeys(FLOW.id) == Counter(each.revision for each in open_ones)
    assert census.steps(FLOW) == Counter(each.step for each in open_ones if each.revision == "r2")


@given(courses, courses)
def test_a_new_owner_goes_on_where_the_one_before_stood(before, after):
    first, second = Census(), Census()
    now = moved(first, before)
    for each in now.values():
        stage = ("", "") if each.finished else (each.revision, each.step)
        second.found(RecordHead(each.flow, each.contact, each.instance, 1, 0, "", *stage))
    for instance, stage in after:
        later = journey(instance, stage)
        for census in (first, second):
            census.moved(now.get(instance), later)
        now[instance] = later

    assert first.journeys(FLOW.id) == second.journeys(FLOW.id)
    assert first.steps(FLOW) == second.steps(FLOW)


def test_a_flow_that_nobody_is_in_has_no_counts():
    assert Census().journeys("shop_hello") == {}
    assert Census().steps(FLOW) == {}
