"""What may become a subject, and how large a mail may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.errors import RenderError
from emailflow_runtime.rendering.compiled import render as render_once
from emailflow_runtime.rendering.errors import InvalidHeader, TemplateTooLarge
from emailflow_runtime.rendering.rendered import MAX_HTML, MAX_SUBJECT, MAX_TEXT

PLAN = TemplatePlan(
    namespace="shop", name="welcome", subject="Hi {{ name }}!", format="html", body="<p>x</p>"
)


def test_a_subject_is_not_escaped(render):
    assert render(subject="Tom & {{ '<Jerry>' }}").subject == "Tom & <Jerry>"


def test_the_authors_line_breaks_become_spaces(render):
    assert render(subject="  Hello,\r\n   {{ contact.name }}\n").subject == "Hello, Ana"


@pytest.mark.parametrize(
    "value",
    ["x\r\nBcc: a@x.example", "x\ny", "x\ry", "x\0y", "x\x0by", "x\x85y", "x\u2028y", "x\x7fy", "x\x1b[0m"],
)
def test_control_characters_from_data_are_refused_and_not_repeated(value):
    with pytest.raises(InvalidHeader) as raised:
        render_once(PLAN, "", {"name": value})
    assert raised.value.reason == "InvalidHeader"
    assert "Bcc" not in str(raised.value)


def test_header_fields_are_rendered(render):
    rendered = render("x", headers={"X-Plan": "{{ contact.traits.plan }} & more"})
    assert rendered.headers == {"X-Plan": "pro & more"}


def test_a_line_break_in_a_header_field_is_refused_by_the_fields_name():
    plan = replace(PLAN, subject="Hi", headers={"X-Name": "{{ name }}"})
    with pytest.raises(InvalidHeader, match=r"headers\.X-Name: expected one line"):
        render_once(plan, "", {"name": "Ana\r\nBcc: all@example.com"})


@given(st.text())
def test_no_value_gets_a_line_break_into_a_subject(name):
    try:
        subject = render_once(PLAN, "", {"name": name}).subject
    except (InvalidHeader, TemplateTooLarge):
        return
    assert len(subject.splitlines()) == 1
    assert "\0" not in subject


def test_space_around_a_subject_goes_even_when_it_comes_from_data():
    plan = TemplatePlan(namespace="s", name="n", subject="{{ name }}", format="html", body="x")
    assert render_once(plan, "", {"name": " Ana\n"}).subject == "Ana"


def test_a_subject_must_fit_a_line(render):
    assert len(render(subject="{{ 'a' * n }}", context={"n": MAX_SUBJECT}).subject) == MAX_SUBJECT
    with pytest.raises(TemplateTooLarge, match="subject"):
        render(subject="{{ 'a' * n }}", context={"n": MAX_SUBJECT + 1})


@pytest.mark.parametrize("first", ["", "{% raw %}{% endraw %}"], ids=["compiled once", "Jinja2 first"])
def test_a_body_has_a_limit(render, first):
    with pytest.raises(TemplateTooLarge, match=f"body: expected at most {MAX_HTML:,} characters"):
        render(first + "{{ 'a' * n }}", context={"n": MAX_HTML})


@pytest.mark.parametrize("field", ["body", "subject", "text"])
@pytest.mark.parametrize("first", ["", "{% raw %}{% endraw %}"], ids=["compiled once", "Jinja2 first"])
def test_half_of_a_surrogate_pair_is_refused(render, field, first):
    with pytest.raises(RenderError, match=f"{field}: expected Unicode text"):
        render(**{"body": "<p>-</p>", field: first + "<p>{{ '\\ud800' }}</p>"})


def test_a_text_has_a_limit(render):
    with pytest.raises(TemplateTooLarge, match=f"text: expected at most {MAX_TEXT:,} characters"):
        render("<p>x</p>", text="{{ 'a' * n }}", context={"n": MAX_TEXT + 1})
