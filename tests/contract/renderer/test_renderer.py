"""What every `Renderer` does."""

import asyncio

import pytest

from emailflow_api.plans import LocalizedBody, TemplatePlan
from emailflow_runtime.app.ports import Rendered, RenderRequest
from emailflow_runtime.errors import RenderError
from emailflow_runtime.rendering.rendered import MAX_HTML

GERMAN = LocalizedBody(
    locale="de", subject="Hallo {{ contact.name }}", format="html", body="<p>Grüß Gott</p>"
)


def request(body="<p>{{ contact.name }}</p>", *, locale="", subject="Hi {{ contact.name }}", **context):
    template = TemplatePlan(
        namespace="shop", name="welcome", subject=subject, format="html", body=body, locales=(GERMAN,)
    )
    return RenderRequest(template, locale, {"contact": {"name": "Ana"}, **context})


async def test_a_mail_has_subject_html_and_text(renderer):
    rendered = await renderer.render(request())
    assert isinstance(rendered, Rendered)
    assert (rendered.subject, rendered.text, rendered.locale) == ("Hi Ana", "Ana", "")
    assert "<p>Ana</p>" in rendered.html


async def test_the_locale_chooses_the_body(renderer):
    rendered = await renderer.render(request(locale="de-AT"))
    assert (rendered.subject, rendered.text, rendered.locale) == ("Hallo Ana", "Grüß Gott", "de")


async def test_values_arrive_as_they_are(renderer):
    value = {"s": "ä繁\U0001f600", "n": 2**63, "f": 0.1, "b": True, "z": None, "l": [{"x": 1}]}
    rendered = await renderer.render(request("<p>{{ v | tojson }}</p>", v=value))
    assert "9223372036854775808" in rendered.text
    assert '"f": 0.1' in rendered.text
    assert (
        await renderer.render(request("<p>{{ v.s }}{{ v.z is none }}</p>", v=value))
    ).text == "ä繁\U0001f600True"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{{ nobody }}", "UndefinedVariable"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ ''.__class__ }}", "TemplateForbidden"),
        ("{% include 'x' %}", "TemplateForbidden"),
        ("{{ 'a' * n }}", "TemplateTooLarge"),
        ("{{ 1 / 0 }}", "RenderFailed"),
        ("{{ 9 ** 200000 }}", "RenderFailed"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RenderFailed"),
    ],
)
async def test_a_template_without_a_result_says_why(renderer, body, reason):
    with pytest.raises(RenderError, match="template shop/welcome: body: ") as raised:
        await renderer.render(request(body, n=MAX_HTML + 1))
    assert raised.value.reason == reason


async def test_a_subject_with_a_line_break_from_data_is_refused(renderer):
    with pytest.raises(RenderError) as raised:
        await renderer.render(request(subject="{{ v }}", v="Hi\r\nBcc: x@shop.example"))
    assert raised.value.reason == "InvalidHeader"


async def test_many_at_once_each_get_their_own(renderer):
    requests = [request("<p>{{ n }}</p>" if n % 7 else "{{ nobody }}", n=n) for n in range(200)]
    results = await asyncio.gather(*map(renderer.render, requests), return_exceptions=True)
    for n, result in enumerate(results):
        if n % 7:
            assert result.text == str(n)
        else:
            assert result.reason == "UndefinedVariable"
