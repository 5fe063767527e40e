"""Lists that stand in two places because the API may not import the runtime: they have to agree."""

import re

from hypothesis import given
from hypothesis import strategies as st

from emailflow_api import reserved_headers
from emailflow_api.compile import jinja, jinja_names
from emailflow_api.plans import FlowPlan, Program, Send, Trigger
from emailflow_cli.samples import sample_context
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Journey
from emailflow_runtime.core.program import CompiledProgram
from emailflow_runtime.core.reactions.course import Setting, journey_view
from emailflow_runtime.rendering import environment, filters, mime


def test_the_api_knows_the_filters_that_rendering_adds():
    assert set(jinja.OWN_FILTERS) == set(filters.FILTERS)


def test_the_api_knows_all_filters_and_tests_of_rendering():
    for rendering in (environment.HTML, environment.TEXT):
        assert set(jinja.FILTERS) == set(rendering.filters)
        assert set(jinja.DEFAULT_TESTS) == set(rendering.tests)


def test_the_api_knows_the_functions_of_templates():
    assert set(environment.HTML.globals) == jinja_names.GLOBALS


def test_the_api_knows_what_templates_see():
    step = Send(name="hello", next="end", template="shop/hello")
    program = Program(trigger=Trigger(types=("x",)), steps=(step,))
    flow = FlowPlan(namespace="shop", name="f", revision="r")
    event = CloudEvent(id="1", source="/s", type="x")
    journey = Journey("j1", "shop_f", "c1", "-", "r", event, 0, 1)
    setting = Setting(flow=flow, programs={"r": CompiledProgram(program)}, contact=Contact("c1"))
    assert set(setting.contact.view()) == set(jinja_names.CONTEXT["contact"])
    assert set(journey_view(journey, setting.flow)) == set(jinja_names.CONTEXT["journey"])
    assert set(sample_context({})) | {"locale"} == set(jinja_names.CONTEXT)


def test_the_api_refuses_the_headers_that_a_mail_is_written_with():
    assert reserved_headers.NAMES >= mime.message.WRITTEN_FIELDS


@given(
    st.sampled_from([*reserved_headers.NAMES, *reserved_headers.PREFIXES]), st.sampled_from(["", "x", "-"])
)
def test_a_cluster_refuses_the_headers_that_rendering_refuses(name, more):
    for said in (name + more, name.title() + more, more + name):
        assert bool(re.search(reserved_headers.pattern(), said)) is reserved_headers.is_reserved(said)
