"""A mail's bodies and attachments, as a reader of MIME sees them."""

import re
from email.parser import BytesParser
from email.policy import default as modern

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.plans import Address
from emailflow_runtime.rendering.mime import AttachedFile, InvalidBody, InvalidHeader, Mail, date_text, write

bodies = st.text(st.characters(codec="utf-8"), max_size=3000) | st.lists(
    st.sampled_from(
        ["From here", "From From x", ".", "..", ".dot", "a=b", " ", "x" * 1200, "é", "🎉", "\t", "\n", "\r\n"]
    )
).map("".join)


def a_mail(**changes):
    fields = {
        "id": "m1",
        "sender": Address("hello@example.com"),
        "to": (Address("ana@example.com"),),
        "subject": "Welcome",
        "date": date_text(0),
        "message_id": "<m1@example.com>",
        "text": "Hello",
        "html": "<p>Hello</p>",
    }
    return Mail(**{**fields, **changes})


def read(mail):
    return BytesParser(policy=modern).parsebytes(write(mail))


def decoded(part):
    return part.get_payload(decode=True).decode()


def with_crlf(text):
    return re.sub(r"\r\n|\r|\n", "\r\n", text)


@given(text=bodies, html=bodies)
def test_text_and_html_read_back_as_alternatives_with_text_first(text, html):
    mail = read(a_mail(text=text, html=html))
    assert mail.get_content_type() == "multipart/alternative"
    plain, rich = mail.iter_parts()
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    assert (decoded(plain), decoded(rich)) == (with_crlf(text), with_crlf(html))
    assert not mail.defects
    assert not plain.defects
    assert not rich.defects


@given(text=bodies, html=bodies)
def test_what_is_written_is_seven_bit_in_short_lines_with_crlf_only(text, html):
    raw = write(a_mail(text=text, html=html))
    assert raw.isascii()
    assert b"\0" not in raw
    assert raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert b"\r\nFrom " not in raw


@given(text=bodies, html=bodies)
def test_writing_is_deterministic_and_boundaries_occur_nowhere_else(text, html):
    mail = a_mail(text=text, html=html)
    raw = write(mail)
    boundary = read(mail).get_boundary().encode()
    assert raw == write(mail)
    assert raw.count(boundary) == 4
    assert read(a_mail(id="m2")).get_boundary().encode() != boundary


def test_a_body_that_repeats_its_own_boundary_stays_whole():
    boundary = read(a_mail()).get_boundary()
    plain, _ = read(a_mail(text=f"--{boundary}\nX: y\n\n--{boundary}--")).iter_parts()
    assert decoded(plain) == f"--{boundary}\r\nX: y\r\n\r\n--{boundary}--"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Hello Ana, and many warm greetings from Köln to all of you", "quoted-printable"),
        ("こんにちは、お元気ですか", "base64"),
        ("Hello " * 2000, "base64"),
    ],
)
def test_a_short_latin_body_stays_readable_and_others_take_the_cheaper_encoding(text, encoding):
    plain, _ = read(a_mail(text=text)).iter_parts()
    assert plain["content-transfer-encoding"] == encoding


@pytest.mark.parametrize(("field", "part"), [("text", "plain"), ("html", "html")])
def test_surrogates_in_a_body_are_refused_naming_the_part(field, part):
    with pytest.raises(InvalidBody, match=f"^{part}: a surrogate at 2"):
        write(a_mail(**{field: "ab\udc80"}))


file_names = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=60
).filter(lambda name: len(name.encode()) <= 255)


@given(name=file_names, content=st.binary(max_size=500))
def test_an_attachment_reads_back_with_its_name_and_bytes(name, content):
    mail = read(a_mail(attachments=(AttachedFile(name, content, "application/pdf"),)))
    assert mail.get_content_type() == "multipart/mixed"
    body, attached = mail.iter_parts()
    assert body.get_content_type() == "multipart/alternative"
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_filename() == name
    assert attached.get_payload(decode=True) == content


@pytest.mark.parametrize(
    "name",
    ["terms.pdf", "two words.pdf", 'quo"te\\.pdf', "Geschäftsbedingungen.pdf", "é" * 120 + ".pdf", "a" * 200],
)
def test_file_names_read_back_and_their_lines_stay_short(name):
    mail = a_mail(attachments=(AttachedFile(name, b"%PDF"), AttachedFile("second.bin", b"")))
    assert [part.get_filename() for part in read(mail).iter_attachments()] == [name, "second.bin"]
    assert max(map(len, write(mail).split(b"\r\n"))) <= 78


@pytest.mark.parametrize("name", ["", "a\r\nb", "a\0b", "\ud800", "x" * 256])
def test_a_file_name_that_cannot_be_written_is_refused(name):
    with pytest.raises(InvalidHeader, match=r"^Content-Disposition:"):
        write(a_mail(attachments=(AttachedFile(name, b""),)))


@pytest.mark.parametrize(
    "media_type", ["", "pdf", "text/plain; charset=x", "a/b\r\nX: y", "message/rfc822", "Multipart/mixed"]
)
def test_a_media_type_that_cannot_be_attached_is_refused(media_type):
    with pytest.raises(InvalidHeader, match=r"^Content-Type:"):
        write(a_mail(attachments=(AttachedFile("a", b"", media_type),)))
