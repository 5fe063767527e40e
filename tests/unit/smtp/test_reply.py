"""Replies are read the same however the network cuts them, and nothing a server says can fill the memory."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.core.smtp.errors import InvalidReply
from emailflow_runtime.core.smtp.extensions import Extensions, offered
from emailflow_runtime.core.smtp.reply import MAX_LINE, MAX_LINES, Reply, ReplyReader

TALK = (
    b"220 mx.example.com ESMTP\r\n"
    b"250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n"
    b"550-5.1.1 No such\r\n550 5.1.1 mailbox\r\n"
    b"354\r\n"
)
READ = [
    Reply(220, ("mx.example.com ESMTP",)),
    Reply(250, ("mx.example.com", "PIPELINING", "SIZE 1000", "AUTH PLAIN LOGIN")),
    Reply(550, ("No such", "mailbox"), "5.1.1"),
    Reply(354, ("",)),
]


def read(*pieces):
    reader = ReplyReader()
    return [reply for piece in pieces for reply in reader.feed(piece)]


def test_single_octets_give_the_same_replies():
    assert read(*(bytes([octet]) for octet in TALK)) == READ


@given(st.lists(st.integers(0, len(TALK))))
def test_any_pieces_give_the_same_replies(cuts):
    edges = [0, *sorted(cuts), len(TALK)]
    assert read(*(TALK[a:b] for a, b in pairwise(edges))) == READ


@given(st.binary(max_size=400))
def test_garbage_is_a_reply_or_an_invalid_one(data):
    try:
        replies = read(data)
    except InvalidReply:
        return
    assert all(200 <= reply.code <= 599 for reply in replies)


@pytest.mark.parametrize("line", [b"", b"hello", b"25 ok", b"2500 ok", b"150 ok", b"650 ok", b"250_ok"])
def test_a_line_without_a_code_is_refused(line):
    with pytest.raises(InvalidReply):
        read(line + b"\r\n")


def test_a_line_that_was_a_reply_before_may_end_a_longer_one():
    (before,) = read(b"250 ok\r\n")
    longer, after = read(b"250-first\r\n250 ok\r\n250 ok\r\n")
    assert (before, longer, after) == (Reply(250, ("ok",)), Reply(250, ("first", "ok")), before)


def test_lines_of_one_reply_have_one_code():
    with pytest.raises(InvalidReply):
        read(b"250-a\r\n550 b\r\n")


def test_an_endless_line_is_refused_before_it_ends():
    with pytest.raises(InvalidReply):
        read(b"250 " + b"a" * MAX_LINE)


def test_an_endless_reply_is_refused_before_it_ends():
    with pytest.raises(InvalidReply):
        read(b"250-a\r\n" * MAX_LINES)


def test_control_characters_do_not_reach_a_reader():
    (reply,) = read(b"550 \x1b[31mred\x00\x07 \xff\r\n")
    assert reply.text == "[31mred  \ufffd"


def test_an_enhanced_code_of_another_class_is_text():
    (reply,) = read(b"250 5.1.1 odd\r\n")
    assert (reply.enhanced, reply.text) == ("", "5.1.1 odd")


def test_a_reply_that_has_begun_is_pending():
    reader = ReplyReader()
    reader.feed(b"250-a\r\n")
    assert reader.pending
    reader.feed(b"250 b\r\n")
    assert not reader.pending


def test_extensions_are_read_in_any_case_and_the_greeting_line_is_none():
    reply = Reply(
        250, ("PIPELINING", "size 1000", "AUTH plain login", "8bitmime", "SMTPUTF8", "STARTTLS", "X")
    )
    assert offered(reply) == Extensions(
        pipelining=False,
        start_tls=True,
        eight_bit=True,
        utf8=True,
        size=1000,
        mechanisms=frozenset({"PLAIN", "LOGIN"}),
    )


@pytest.mark.parametrize(("line", "size"), [("SIZE", 0), ("SIZE 0", 0), ("SIZE many", 0), ("X", None)])
def test_a_size_that_is_no_number_is_no_limit(line, size):
    assert offered(Reply(250, ("mx", line))).size == size
