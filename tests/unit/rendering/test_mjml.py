"""MJML bodies: the corpus, loops between elements, inline styles, no files."""

import os
from pathlib import Path

import pytest

from emailflow_runtime.rendering import mjml
from emailflow_runtime.rendering.errors import TemplateForbidden, TemplateSyntaxError

OWN = Path(__file__).parent / "mjml"
BESIDE = Path(__file__).parents[4] / "shared" / "data"
GIVEN = Path(os.environ.get("EMAILFLOW_CONFORMANCE_DATA", BESIDE)) / "mjml"
CORPUS = sorted({path.name: path for path in (*OWN.rglob("*.mjml"), *GIVEN.rglob("*.mjml"))}.values())
REFUSED = frozenset({"mj-head-unknown-tag.mjml"})


def document(body, head=""):
    return f"<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"


def section(body):
    return f"<mj-section><mj-column>{body}</mj-column></mj-section>"


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus(path, render):
    source = path.read_text("utf-8")
    if path.name in REFUSED:
        with pytest.raises(TemplateSyntaxError, match="MJML"):
            render(source, format="mjml")
    else:
        assert render(source, format="mjml").html == mjml.to_html(source)


LOOPS = {
    "sections": "{% for i in event.data.items %}"
    + section("<mj-text>{{ i.name }}</mj-text>")
    + "{% endfor %}",
    "rows of a column": section("{% for i in event.data.items %}<mj-text>{{ i.name }}</mj-text>{% endfor %}"),
    "columns": "<mj-section>{% for i in event.data.items %}<mj-column>"
    "<mj-text>{{ i.name }}</mj-text></mj-column>{% endfor %}</mj-section>",
    "table rows": section(
        "<mj-table>{% for i in event.data.items %}<tr><td>{{ i.name }}</td></tr>{% endfor %}</mj-table>"
    ),
    "within a text": section(
        "<mj-text>{% for i in event.data.items %}<p>{{ i.name }}</p>{% endfor %}</mj-text>"
    ),
    "a wrapper's sections": "<mj-wrapper>{% for i in event.data.items %}"
    + section("<mj-text>{{ i.name }}</mj-text>")
    + "{% endfor %}</mj-wrapper>",
    "social elements": section(
        "<mj-social>{% for i in event.data.items %}<mj-social-element>{{ i.name }}"
        "</mj-social-element>{% endfor %}</mj-social>"
    ),
}


@pytest.mark.parametrize("body", LOOPS.values(), ids=LOOPS)
def test_loops_may_stand_anywhere(render, body):
    rendered = render(document(body), format="mjml")
    assert rendered.html.count("Tea &amp; cake") == rendered.html.count("Kännchen") == 1
    assert rendered.text.split("\n")[0] == "Tea & cake"
    assert "{%" not in rendered.html


def test_columns_made_by_a_loop_share_the_width(render):
    assert "mj-column-per-50" in render(document(LOOPS["columns"]), format="mjml").html


def test_the_set_and_macros_before_the_document_work(render):
    source = "{% macro b(x) %}<b>{{ x }}</b>{% endmacro %}{% set n = 5 %}" + document(
        section("<mj-text>{{ b(n) }}</mj-text>")
    )
    assert "<b>5</b>" in render(source, format="mjml").html


@pytest.mark.parametrize("quotes", ["\"{{ event.data['url'] }}\"", "'{{ event.data[\"url\"] }}'"])
def test_quotes_within_an_attributes_tag_survive(render, quotes):
    html = render(document(section(f"<mj-button href={quotes}>Go</mj-button>")), format="mjml").html
    assert 'href="https://shop.example/?a=1&amp;b=2"' in html


def test_the_same_quotes_inside_and_outside(render):
    html = render(
        document(section('<mj-button href="{{ event.data["url"] }}">Go</mj-button>')), format="mjml"
    ).html
    assert 'href="https://shop.example/?a=1&amp;b=2"' in html


def test_a_value_may_set_what_mjml_computes_with(render):
    body = section(
        '<mj-text color="{{ c }}" css-class="{{ k }}">x</mj-text><mj-divider border-width="{{ w }}px"/>'
    )
    html = render(document(body), format="mjml", context={"c": "#123456", "w": 7, "k": "big"}).html
    assert "color:#123456" in html
    assert "solid 7px" in html
    assert 'class="big"' in html


@pytest.mark.parametrize("where", ["<mj-text>{{ v }}</mj-text>", '<mj-image src="x" alt="{{ v }}"/>'])
@pytest.mark.parametrize("first", ["", "{% set x = 1 %}"])
def test_values_cant_become_markup(render, where, first):
    value = "\"'><script>alert(1)</script><mj-raw>"
    html = render(first + document(section(where)), format="mjml", context={"v": value}).html
    assert "<script" not in html
    assert "<mj-raw" not in html
    assert "&lt;script&gt;" in html


def test_only_styles_marked_inline_are_inlined(render):
    head = (
        '<mj-style inline="inline">.a td { color: red }</mj-style><mj-style>.a td { margin: 1px }</mj-style>'
    )
    html = render(
        document(section('<mj-table css-class="a"><tr><td>x</td></tr></mj-table>'), head), format="mjml"
    ).html
    assert 'style="color: red;"' in html
    assert ".a td { margin: 1px }" in html


@pytest.mark.parametrize("where", ["<mj-include path='{}'/>", "<MJ-INCLUDE path='{}' />"])
def test_includes_are_refused(render, tmp_path, where):
    secret = tmp_path / "secret.mjml"
    secret.write_text("<mj-text>secret</mj-text>")
    with pytest.raises(TemplateForbidden, match="mj-include"):
        render(document(where.format(secret)), format="mjml")
