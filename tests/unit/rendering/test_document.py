"""The HTML document: layout, preheader, inlined CSS, and that compiling once changes nothing."""

import re

import pytest

from emailflow_runtime.rendering.errors import TemplateSyntaxError

HTML_LAYOUT = (
    "<html><body><header>Shop</header>{% block content %}default{% endblock %}"
    "<footer>{{ contact.name }}</footer></body></html>"
)
MJML_LAYOUT = (
    "<mjml><mj-body>{% block content %}{% endblock content %}<mj-section><mj-column><mj-text>Foot</mj-text>"
    "</mj-column></mj-section></mj-body></mjml>"
)
SECTION = "<mj-section><mj-column><mj-text>{{ contact.name }}</mj-text></mj-column></mj-section>"
TEXT_LAYOUT = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>{%- block content -%}x{% block y %}{% endblock %}"
    "{% endblock %}</mj-text></mj-column></mj-section></mj-body></mjml>"
)


@pytest.mark.parametrize(
    ("kind", "body", "layout_format", "layout", "text"),
    [
        ("html", "<p>Hi {{ contact.name }}</p>", "html", HTML_LAYOUT, "Shop\n\nHi Ana\n\nAna"),
        ("markdown", "Hi **{{ contact.name }}**", "html", HTML_LAYOUT, "Shop\n\nHi Ana\n\nAna"),
        ("mjml", SECTION, "mjml", MJML_LAYOUT, "Ana\n\nFoot"),
        ("markdown", "Hi *you*", "mjml", TEXT_LAYOUT, "Hi you"),
        (
            "markdown",
            "Hi *you*",
            "markdown",
            "# Shop\n\n{% block content %}\n{% endblock %}\n\nBye",
            "Shop\n\nHi you\n\nBye",
        ),
    ],
)
def test_bodies_go_into_layouts(render, kind, body, layout_format, layout, text):
    assert render(body, format=kind, layout=layout, layout_format=layout_format).text == text


@pytest.mark.parametrize(
    "layout", ["<html></html>", "{% block other %}{% endblock %}", "{% block content %}"]
)
def test_a_layout_needs_a_block_for_the_content(render, layout):
    with pytest.raises(TemplateSyntaxError, match=r"layout: expected a `\{% block content %\}`"):
        render("<p>x</p>", layout=layout, layout_format="html")


def test_mjml_needs_a_layout_in_mjml(render):
    with pytest.raises(TemplateSyntaxError, match="layout: expected an MJML layout"):
        render(SECTION, format="mjml", layout=HTML_LAYOUT, layout_format="html")


@pytest.mark.parametrize("first", ["", "{% raw %}{% endraw %}"], ids=["compiled once", "Jinja2 first"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("html", "<p>x</p>"),
        ("html", "<html><body class='a>b'><p>x</p></body></html>"),
        ("mjml", "<mjml><mj-body>" + SECTION + "</mj-body></mjml>"),
        ("markdown", "x"),
    ],
)
def test_the_preheader_is_the_first_thing_in_the_body_and_hidden(render, kind, body, first):
    if kind == "mjml":
        body, first = body.replace("{{ contact.name }}", "x" + first), ""
    rendered = render(first + body, format=kind, preheader="Tom & {{ contact.name }} <3 {{ '<b>' }}")
    inner = re.split(r"""<body(?:"[^"]*"|[^">])*>""", rendered.html)[1]
    assert re.match(r'\s*<div style="display:none;[^>]*>Tom &amp; Ana &lt;3 &lt;b&gt;</div>', inner)
    assert rendered.text == "x"


def test_a_fragment_becomes_a_document_with_the_subject_as_title(render):
    html = render("<p>x</p>", subject="Tea & {{ contact.name }} <3").html
    assert html.lower().startswith("<!doctype html>")
    assert "<title>Tea &amp; Ana &lt;3</title>" in html
    assert '<meta charset="utf-8">' in html


def test_rules_are_inlined_and_kept_for_those_that_cant_be(render):
    html = render(
        "<style>p { color: red } @media print { p { color: blue } } a:hover { color: pink }</style><p>x"
    ).html
    assert '<p style="color: red;">' in html
    assert "@media print" in html
    assert "a:hover" in html


@pytest.mark.parametrize(
    "reference",
    [
        '<link rel="stylesheet" href="{}">',
        '<link rel="stylesheet" href="file://{}">',
        "<style>@import '{}';</style>",
        '<style>@import url("file://{}");</style>',
    ],
)
def test_no_file_is_read(render, tmp_path, reference):
    sheet = tmp_path / "own.css"
    sheet.write_text("p { color: red }")
    assert "<p>x</p>" in render(reference.format(sheet) + "<p>x</p>").html


def test_nothing_is_fetched(render, unused_tcp_port):
    link = f'<link rel="stylesheet" href="http://127.0.0.1:{unused_tcp_port}/x.css">'
    assert link in render(link + "<p>x</p>").html


SAME = {
    "classes from data": "<style>.red { color: red }</style><p class='{{ c }}'>x</p>",
    "every second row": "<style>tr:nth-child(even) { color: red }</style>"
    "<table>{% for i in l %}<tr><td>{{ i }}</tr>{% endfor %}</table>",
    "rows without a body": "<style>td { color: red }</style>"
    "<table>{% for i in l %}<tr><td>{{ i }}</tr>{% endfor %}</table>",
    "rows that aren't there": "<table>{% for i in [] %}<tr><td>{{ i }}</tr>{% endfor %}</table>",
    "attributes on a condition": "<a {% if c %}title='a'{% endif %} href={{ u }}>x</a>",
    "two ways to say an attribute": "<p {% if c %}title='a'{% else %}title='b'{% endif %}>x</p>",
    "a style from data": "<style>p { margin: 0 }</style><p style='color: {{ c }}'>x</p>",
    "styles from data": "<style>p { color: {{ c }} }</style><p>x</p>",
    "elements from data": "<{{ t }}>x</{{ t }}>",
    "a macro": "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}<p>{{ b(c) }}</p>",
    "comments": "<!-- {{ c }} --><!--[if mso]><a href='{{ u }}'>x</a><![endif]--><p>y</p>",
    "trimmed space": "<p>\n{%- for i in l -%} {{ i }} {%- endfor -%}\n</p>",
    "markup from data": "<table>{{ '<tr><td>x</td></tr>' | safe }}</table>",
    "a link on a condition": "{% if c %}<a href='{{ u }}'>{% endif %}x{% if c %}</a>{% endif %}",
    "elements on a condition": "{% if not c %}<div>{% else %}<p>{% endif %}x"
    "{% if not c %}</div>{% else %}</p>{% endif %}",
    "items left open": "<ul>{% for i in l %}<li>{{ i }}{% endfor %}</ul>",
    "rows left open": "<table>{% for i in l %}<tr><td>{{ i }}{% endfor %}</table>",
    "blocks set aside": "{% set k %}<b>{{ c }}</b>{% endset %}{% set m = 1 %}<p>{{ k }}{{ m }}</p>",
    "raw text": "<p>{% raw %}{{ c }}{% endraw %}</p>",
}


def normal(html):
    """Without what HTML leaves out at will: a `tbody`'s tags, and more than one blank."""
    return re.sub(r"\s+", " ", re.sub("</?tbody>", "", html))


@pytest.mark.parametrize("source", SAME.values(), ids=SAME)
def test_compiling_once_gives_what_jinja2_first_gives(render, source):
    context = {"c": "red", "l": [1, 2, 3], "u": "https://x.example/?a=1&b=2", "t": "b"}
    once, first = (render(more + source, context=context) for more in ("", "{% raw %}{% endraw %}"))
    assert normal(once.html) == normal(first.html)
    assert once.text.split() == first.text.split()
