"""The text part that is derived from HTML."""

import pytest

from emailflow_runtime.rendering.plain_text import tidy, to_text

CASES = {
    "paragraphs": ("<p>One</p><p>Two</p>", "One\n\nTwo"),
    "white space": ("<p>  One\n two&nbsp; three </p>\n\n", "One two three"),
    "line breaks": ("One<br>two<br/><br/>three", "One\ntwo\n\nthree"),
    "inline elements": ("<p>a<b>b</b> <i>c</i>d</p>", "ab cd"),
    "headings": ("<h1>Title</h1>text<h2>Sub</h2>more", "Title\n\ntext\n\nSub\n\nmore"),
    "links": ("<a href='https://x.example/a?b=1&amp;c=2'>Go</a>!", "Go (https://x.example/a?b=1&c=2)!"),
    "a link that shows itself": ("<a href='https://x.example/'>x.example</a>", "x.example"),
    "a mail link that shows itself": ("<a href='mailto:a@x.example'>a@x.example</a>", "a@x.example"),
    "a link without text": ("<a href='https://x.example'></a>", "https://x.example"),
    "a link within the page": ("<a href='#top'>up</a>", "up"),
    "a linked image": ("<a href='https://x.example'><img alt='Shop' src=a></a>", "Shop (https://x.example)"),
    "images": ("<img alt='A cat' src=a><img src=b><img alt='' src=c>", "A cat"),
    "lists": ("<ul><li>a<li>b<ul><li>c</ul></ul>d", "- a\n- b\n  - c\n\nd"),
    "numbered lists": ("<ol><li><p>a</p></li><li><p>b</p></li></ol>", "1. a\n\n2. b"),
    "tables": ("<table><tr><th>Item<th>Price</tr><tr><td>Tea<td>5</tr></table>", "Item  Price\nTea  5"),
    "layout tables": (
        "<table role=presentation><tr><td>a</td></tr><tr><td><p>b</p></td><td>c</td></tr></table>",
        "a\n\nb\n\nc",
    ),
    "rules": ("a<hr>b", "a\n\n---\n\nb"),
    "preformatted text": ("<pre>a\n  b</pre>", "a\n  b"),
    "what is hidden": ("a<div style='color:red; DISPLAY : none'>b<p>c</p></div> d", "a d"),
    "head, styles and scripts": ("<head><title>t</title><style>s</style></head><script>x</script>b", "b"),
    "comments": ("a<!-- b --><!--[if mso]>c<![endif]-->d", "ad"),
    "unknown and broken markup": ("<x-y>a</p></div></a></ul>b</x-y>", "a\n\nb"),
    "non-ASCII": ("<p>Größe &euro; 繁體 \U0001f600</p>", "Größe € 繁體 \U0001f600"),
}


@pytest.mark.parametrize(("html", "text"), CASES.values(), ids=CASES)
def test_reading(html, text):
    assert tidy(to_text(html)) == text


ROWS = (
    "<table>{% for i in event.data.items %}<tr><td>{{ i.name }}</td><td>{{ i.qty }}</td></tr>"
    "{% endfor %}</table>"
)
TEMPLATES = {
    "a loop over rows": (ROWS + "<p>End</p>", "Tea & cake  2\nKännchen  1\n\nEnd"),
    "a loop over items": (
        "<ul>{% for i in event.data.items %}<li>{{ i.name }}</li>{% endfor %}</ul>",
        "- Tea & cake\n- Kännchen",
    ),
    "a loop within a line": (
        "<p>{% for i in event.data.items %}{{ i.qty }}{% if not loop.last %}, {% endif %}{% endfor %}.</p>",
        "2, 1.",
    ),
    "a condition within a line": (
        "<p>Hi {% if contact.vip is defined %}VIP {% endif %}{{ contact.name }}</p>",
        "Hi Ana",
    ),
    "a condition around a paragraph": ("<p>a</p>{% if false %}<p>b</p>{% endif %}<p>c</p>", "a\n\nc"),
    "a link": (
        "<a href='{{ event.data.url }}'>{{ contact.name }}</a>",
        "Ana (https://shop.example/?a=1&b=2)",
    ),
    "values as they are": ("<p>{{ '<b>&amp;' }}</p>", "<b>&amp;"),
    "markup in a value": ("<div>{{ '<b>x</b>' | safe }}</div>", "x"),
    "braces that are no tag": ("<p>&#123;&#123; x }}</p>", "{{ x }}"),
}


@pytest.mark.parametrize("first", ["", "{% raw %}{% endraw %}"], ids=["compiled once", "Jinja2 first"])
@pytest.mark.parametrize(("html", "text"), TEMPLATES.values(), ids=TEMPLATES)
def test_reading_a_template(render, html, text, first):
    assert render(first + html).text == text


def test_a_text_of_the_authors_own_wins(render):
    assert (
        render("<p>HTML</p>", text="Dear {{ contact.name }} & co\n\n-- \nShop\n").text
        == "Dear Ana & co\n\n-- \nShop"
    )


def test_lines_of_statements_leave_no_lines_in_a_text(render):
    source = "Items:\n{% for i in event.data.items %}\n- {{ i.name }}\n{% endfor %}\nEnd"
    assert render("<p>-</p>", text=source).text == "Items:\n- Tea & cake\n- Kännchen\nEnd"


@pytest.mark.parametrize("html", ["<img src=x>", "", "<p> </p>", "{% if false %}x{% endif %}"])
def test_a_mail_without_words_has_its_subject_as_text(render, html):
    assert render(html, subject="Sale").text == "Sale"
