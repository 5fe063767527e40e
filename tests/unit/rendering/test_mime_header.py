"""A mail's header, as a reader of RFC 5322 sees it."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.parser import BytesParser
from email.policy import default as modern
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.plans import Address
from emailflow_api.reserved_headers import NAMES, PREFIXES
from emailflow_runtime.rendering.mime import (
    InvalidHeader,
    Mail,
    addr_spec,
    date_text,
    delivery_headers,
    message_id,
    write,
)


def a_mail(**changes):
    fields = {
        "id": "m1",
        "sender": Address("hello@example.com", "Example"),
        "to": (Address("ana@example.com", "Ana"),),
        "subject": "Welcome",
        "date": date_text(1_700_000_000_000_000_000),
        "message_id": message_id("m1", "example.com"),
        "text": "Hello",
        "html": "<p>Hello</p>",
    }
    return Mail(**{**fields, **changes})


def read(mail):
    return BytesParser(policy=modern).parsebytes(write(mail))


def header_lines(mail):
    return write(mail).split(b"\r\n\r\n", 1)[0].split(b"\r\n")


line_of_text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1, max_size=300
)


@given(line_of_text)
def test_any_subject_reads_back_as_it_was(subject):
    assert str(read(a_mail(subject=subject))["subject"]) == subject


@given(line_of_text)
def test_a_display_name_reads_back_with_its_white_space_set_to_single_spaces(name):
    # The older reader: the newer one of Python 3.11 sets a space between encoded-words in a phrase.
    field = message_from_bytes(write(a_mail(to=(Address("ana@example.com", name),))))["to"]
    display_name, address = parseaddr(field.replace("\r\n", ""))
    assert str(make_header(decode_header(display_name))) == " ".join(name.split())
    assert address == "ana@example.com"


@given(st.lists(line_of_text, min_size=1, max_size=6))
def test_every_header_line_is_seven_bit_and_short(names):
    mail = a_mail(
        to=tuple(Address("ana@example.com", name) for name in names),
        subject=" ".join(names),
        headers=delivery_headers(own={"X-Campaign": names[0]}),
    )
    for line in header_lines(mail):
        assert line.isascii()
        assert line.strip()
        assert len(line) <= 78 or b" " not in line.strip().split(b": ", 1)[-1]


@pytest.mark.parametrize(
    "subject",
    [
        "Liebe Grüße aus Köln 🎉",
        "=?utf-8?q?not_encoded?=",
        "a=?b",
        "  two  spaces ",
        "tab\there",
        "x" * 500,
        "word " * 60 + "end",
        "",
    ],
)
def test_awkward_subjects_read_back(subject):
    assert str(read(a_mail(subject=subject))["subject"]) == subject


def test_a_long_plain_subject_is_folded_at_its_spaces():
    lines = header_lines(a_mail(subject="every word stays readable " * 8 + "end"))
    assert sum(b"readable" in line for line in lines) > 1
    assert max(map(len, lines)) <= 78


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\r\nBcc: eve@example.com", "\x1b", "\x7f", "\ud800"])
@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("Subject", lambda bad: {"subject": f"a{bad}b"}),
        ("From", lambda bad: {"sender": Address("hello@example.com", f"a{bad}b")}),
        ("To", lambda bad: {"to": (Address(f"ana{bad}@example.com"),)}),
        ("Cc", lambda bad: {"cc": (Address(f"ana@example.com{bad}"),)}),
        ("Reply-To", lambda bad: {"reply_to": (Address("help@example.com", f"{bad}"),)}),
        ("X-Campaign", lambda bad: {"headers": (("X-Campaign", f"a{bad}b"),)}),
        ("Date", lambda bad: {"date": f"{bad}"}),
        ("Message-ID", lambda bad: {"message_id": f"<a{bad}@example.com>"}),
    ],
)
def test_control_characters_and_surrogates_are_refused_naming_the_field(field, change, bad):
    with pytest.raises(InvalidHeader, match=f"^{field}:"):
        write(a_mail(**change(bad)))


@pytest.mark.parametrize("name", ["", "X Campaign", "X:", "X-Ü", "X\r\nBcc", "x" * 77])
def test_a_header_name_that_is_none_is_refused(name):
    with pytest.raises(InvalidHeader, match="expected a header name"):
        write(a_mail(headers=((name, "value"),)))


def test_a_word_that_cannot_be_folded_into_998_characters_is_refused_in_an_address_and_encoded_in_text():
    mail = read(a_mail(headers=(("X-Long", "x" * 2000),)))
    assert mail["x-long"] == "x" * 2000
    with pytest.raises(InvalidHeader, match=r"^To:.*254"):
        write(a_mail(to=(Address("a" * 250 + "@example.com"),)))


def test_names_are_quoted_when_they_need_it():
    raw = write(a_mail(sender=Address("hello@example.com", 'Ana "The \\ Fox", Ltd.')))
    assert b'From: "Ana \\"The \\\\ Fox\\", Ltd." <hello@example.com>\r\n' in raw


def test_several_mailboxes_keep_their_order():
    mail = read(a_mail(cc=tuple(Address(f"p{n}@example.com", f"Përson {n}, Dr.") for n in range(9))))
    assert [box.display_name for box in mail["cc"].addresses] == [f"Përson {n}, Dr." for n in range(9)]
    assert [box.username for box in mail["cc"].addresses] == [f"p{n}" for n in range(9)]


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("ana@bücher.example", "ana@xn--bcher-kva.example"),
        ("ana@straße.example", "ana@xn--strae-oqa.example"),
        ("ana@BÜCHER.example", "ana@xn--bcher-kva.example"),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("o'neil+tag@Example.com", "o'neil+tag@Example.com"),
        ('"two words"@example.com', '"two words"@example.com'),
        ("ana@[192.0.2.1]", "ana@[192.0.2.1]"),
    ],
)
def test_domains_are_written_as_a_labels_and_local_parts_are_left_alone(address, written):
    assert addr_spec(address, field="To") == written


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "@example.com",
        "ana@",
        "a b@example.com",
        "ana@exa mple.com",
        "ana@example..com",
        "<ana@example.com>",
        "ana,eve@example.com",
        "ana.@example.com",
        "ana@-\u200d.example",
        "a\u00a0b@example.com",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(address):
    with pytest.raises(InvalidHeader, match=r"^To: ") as refusal:
        addr_spec(address, field="To")
    assert not address or address not in str(refusal.value)


def test_only_a_local_part_beyond_ascii_makes_a_mail_that_needs_smtputf8():
    assert write(a_mail(to=(Address("ana@bücher.example", "Aña"),))).isascii()
    raw = write(a_mail(to=(Address("aña@bücher.example", "Aña"),)))
    assert "<aña@xn--bcher-kva.example>".encode() in raw


def test_a_message_id_is_ascii_whatever_the_domain():
    assert message_id("m1", "bücher.example") == "<m1@xn--bcher-kva.example>"


def test_every_mail_carries_what_its_delivery_needs():
    headers = delivery_headers(
        unsubscribe_url="https://mail.example.com/u/" + "t" * 120,
        feedback_id="onboarding:welcome:shop:example",
        own={"X-Campaign": "spring"},
    )
    mail = read(a_mail(headers=headers))
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["list-unsubscribe"] == "<https://mail.example.com/u/" + "t" * 120 + ">"
    assert mail["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert mail["feedback-id"] == "onboarding:welcome:shop:example"
    assert mail["x-campaign"] == "spring"
    assert mail["message-id"] == "<m1@example.com>"
    assert mail["date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert mail["mime-version"] == "1.0"


def test_without_an_unsubscribe_url_nothing_claims_that_one_can_unsubscribe():
    assert [name for name, _ in delivery_headers()] == ["Auto-Submitted"]


@pytest.mark.parametrize(
    "url", ["mailto:a@example.com", "https://exa mple.com", "https://x>\r\nBcc: y", "https://ü.example"]
)
def test_an_unsubscribe_url_that_would_break_the_header_is_refused(url):
    with pytest.raises(InvalidHeader, match=r"^List-Unsubscribe:"):
        delivery_headers(unsubscribe_url=url)


@pytest.mark.parametrize("name", sorted({*NAMES, *(f"{each}X" for each in PREFIXES)}))
def test_a_template_cannot_set_a_header_that_is_not_its_to_set(name):
    with pytest.raises(InvalidHeader, match="is reserved"):
        delivery_headers(own={name.title(): "x"})


@pytest.mark.parametrize("name", ["From", "bcc", "Content-Type", "MIME-Version"])
def test_the_writer_does_not_write_a_field_twice_nor_blind_copies(name):
    with pytest.raises(InvalidHeader, match="written from the mail itself"):
        write(a_mail(headers=((name, "x"),)))
