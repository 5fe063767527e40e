"""Mails of every kind can be read, also those that no program should have written."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.adapters.mail_catcher.message import open_message, summarize
from emailflow_runtime.app.ports import OpenedMessage


def opened(source: bytes) -> OpenedMessage:
    summary, _words = summarize(source, recipients=["ana@example.com"], received=7)
    return open_message(source, summary=summary, return_path="")


def lines(*parts: str) -> bytes:
    return "\r\n".join(parts).encode()


WITH_FILES = lines(
    "Subject: files",
    "Content-Type: multipart/mixed; boundary=outer",
    "",
    "--outer",
    "Content-Type: multipart/related; boundary=inner",
    "",
    "--inner",
    "Content-Type: text/html; charset=iso-8859-1",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    '<p>caf=E9</p><img src=3D"cid:logo">',
    "--inner",
    "Content-Type: image/png",
    "Content-ID: <logo>",
    "Content-Disposition: inline; filename=logo.png",
    "Content-Transfer-Encoding: base64",
    "",
    "iVBORw==",
    "--inner--",
    "--outer",
    "Content-Type: text/plain",
    "Content-Disposition: attachment; filename*=UTF-8''caf%C3%A9.txt",
    "",
    "not a body",
    "--outer",
    "Content-Type: message/rfc822",
    "",
    "Subject: forwarded",
    "",
    "not a body either",
    "--outer--",
)


def test_tells_bodies_inline_pictures_and_attachments_apart() -> None:
    message = opened(WITH_FILES)

    assert message.html == '<p>café</p><img src="cid:logo">'
    assert message.text == ""
    assert [(part.file_name, part.inline) for part in message.parts] == [
        ("logo.png", True),
        ("café.txt", False),
        ("part-4.eml", False),
    ]
    assert message.parts[0].content == b"\x89PNG"
    assert message.parts[2].content.startswith(b"Subject: forwarded")
    assert message.summary.attachments == 2


def test_without_a_text_part_the_snippet_is_what_the_html_shows() -> None:
    source = lines(
        "Content-Type: text/html",
        "",
        "<head><title>no</title><style>p{}</style></head><p>Hello&nbsp;<b>Ana</b></p><script>no()</script>",
        '<img alt="a cup">&zwnj;&#847;&shy;',
    )

    assert opened(source).summary.snippet == "Hello Ana a cup"


def test_reads_headers_in_raw_utf8() -> None:
    message = opened(lines("From: Zoë <zoë@exämple.com>", "Subject: Grüße", "", "x"))

    assert message.summary.sender.name == "Zoë"
    assert message.summary.sender.address == "zoë@exämple.com"
    assert message.summary.subject == "Grüße"


def test_a_comma_in_an_encoded_name_does_not_split_the_address() -> None:
    message = opened(lines("To: =?utf-8?q?Lovelace=2C_Ada?= <ada@example.com>", "", ""))

    assert [(to.name, to.address) for to in message.summary.to] == [("Lovelace, Ada", "ada@example.com")]


def test_unfolds_long_headers() -> None:
    assert opened(lines("Subject: one", " two", "", "")).summary.subject == "one two"


def test_the_date_is_the_headers_else_the_arrival() -> None:
    assert opened(lines("Date: Thu, 1 Jan 1970 01:00:02 +0100", "", "")).date == 2_000_000_000
    assert opened(lines("Date: yesterday", "", "")).date == 7


def test_hundreds_of_nested_parts_do_not_stop_anybody() -> None:
    nested = [
        line
        for level in range(2000)
        for line in (f"Content-Type: multipart/mixed; boundary=b{level}", "", f"--b{level}")
    ]

    assert opened(lines("Subject: deep", *nested, "", "x")).summary.subject == "deep"


FRAGMENTS = [
    "From: ",
    "Subject: ",
    "Date: ",
    "Cc: a, ;<@>:",
    "Content-ID: <",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: message/rfc822\r\n\r\n",
    "Content-Type: text/plain; charset=",
    "Content-Type: text/html; charset*=a'b'%00",
    "Content-Disposition: attachment; filename=",
    "filename*0*=x'y'%e9; filename*1=z",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: x-uuencode\r\nbegin 644 x\r\n",
    "idna",
    "utf-7",
    "hex",
    "+2AA-",
    "\x00",
    "\r\n",
    "\r\n\r\n",
    "--b\r\n",
    "--b--",
    "=?utf-8?b?/w==?=",
    "=?utf-7?q?+2AA-?= \\ud800",
    "=?idna?q?x?=",
    "=?x?b?A?=",
    "<script>&#xD800;",
    "Tue, 24 Nov 9999999 08:15:30 +9999",
]


@given(st.lists(st.sampled_from([text.encode() for text in FRAGMENTS]) | st.binary(max_size=6), max_size=20))
def test_whatever_arrives_can_be_read_and_shown(fragments: list[bytes]) -> None:
    message = opened(b"".join(fragments))

    assert msgspec.json.decode(msgspec.json.encode(message), type=OpenedMessage) == message
