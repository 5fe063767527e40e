"""The links of a mail that people may follow."""

from emailflow_runtime.web.links import Link, links


def test_lists_each_link_of_the_html_once_with_what_the_reader_sees() -> None:
    html = (
        '<a href="https://a.example/?x=1&amp;y=2">Go <b>now</b></a>'
        '<a href="https://a.example/?x=1&amp;y=2">Go <b>now</b></a>'
        '<a href=" http://b.example "><img alt="Logo"></a>'
        '<a href="https://c.example">never closed'
    )
    assert links(html, "https://text.example") == [
        Link("https://a.example/?x=1&y=2", "Go now"),
        Link("http://b.example", "Logo"),
        Link("https://c.example", "never closed"),
    ]


def test_only_web_addresses_can_be_followed() -> None:
    html = (
        '<a href="javascript:alert(1)">x</a><a href="data:text/html,x">x</a><a href="/relative">x</a><a>x</a>'
    )
    assert links(html, "") == []


def test_a_text_mail_has_its_web_addresses() -> None:
    text = "See <https://a.example/1>, (https://a.example/2) and https://a.example/1"
    assert links("", text) == [Link("https://a.example/1", ""), Link("https://a.example/2", "")]
