"""Markdown bodies."""

import re

import pytest


@pytest.fixture
def body(render):
    """The HTML within the body, without styles and without space between elements."""

    def rendered(source, **more):
        html = render(source, format="markdown", **more).html
        plain = re.sub(r' style="[^"]*"', "", html[html.index('<div class="mail"') :])
        return re.sub(r">\s*\n\s*|\s*\n\s*<", lambda match: match[0].strip(), plain)

    return rendered


def test_it_becomes_a_whole_readable_document(render):
    html = render("# Hello {{ contact.name }}", format="markdown").html
    assert html.lower().startswith("<!doctype html>")
    assert "Hello Ana</h1>" in html
    assert "max-width: 600px" in html


def test_values_are_neither_markdown_nor_html(body):
    html = body("Hi {{ v }}", context={"v": "**x** [l](http://e.example) <b>y</b>"})
    assert "Hi **x** [l](http://e.example) &lt;b&gt;y&lt;/b&gt;" in html


def test_links_may_come_from_data(body):
    assert '<a href="https://shop.example/?a=1&amp;b=2">shop</a>' in body("[shop]({{ event.data.url }})")


def test_the_authors_own_html_stays(body):
    assert '<div class="note">Ana</div>' in body('<div class="note">{{ contact.name }}</div>')


@pytest.mark.parametrize(("mark", "tag"), [("-", "ul"), ("1.", "ol")])
def test_a_loop_over_items_gives_one_list(body, mark, tag):
    html = body("{% for i in event.data.items %}\n" + mark + " {{ i.name }}\n{% endfor %}\nEnd")
    assert f"<{tag}><li>Tea &amp; cake</li><li>Kännchen</li></{tag}><p>End</p>" in html


def test_a_loop_over_rows_gives_one_table(body):
    html = body(
        "| a | b |\n|---|---|\n{% for i in event.data.items %}\n"
        "| {{ i.name }} | {{ i.qty }} |\n{% endfor %}\nEnd"
    )
    assert html.count("<table>") == 1
    rows = "<tr><td>Tea &amp; cake</td><td>2</td></tr><tr><td>Kännchen</td><td>1</td></tr>"
    assert f"<tbody>{rows}</tbody>" in html
    assert "<p>End</p>" in html


@pytest.mark.parametrize(("shown", "tables"), [(True, 1), (False, 0)])
def test_a_condition_around_a_table_takes_all_of_it(body, shown, tables):
    html = body("{% if v %}\n| a |\n|---|\n| x |\n{% endif %}\nEnd", context={"v": shown})
    assert html.count("<table>") == html.count("</table>") == tables
    assert "<p>End</p>" in html


def test_conditions_around_paragraphs(body):
    source = "{% if v %}\nYes **{{ v }}**\n{% else %}\nNo\n{% endif %}"
    assert "<p>Yes <strong>1</strong></p>" in body(source, context={"v": 1})
    assert "<p>No</p>" in body(source, context={"v": 0})


def test_the_text_part_reads_well(render):
    source = "# Hello\n\nSome *words*, [a link]({{ event.data.url }}).\n\n- one\n- two\n"
    assert render(source, format="markdown").text == (
        "Hello\n\nSome words, a link (https://shop.example/?a=1&b=2).\n\n- one\n- two"
    )
