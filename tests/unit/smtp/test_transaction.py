"""What is known of a mail, for every way in which a server can answer or vanish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.core.outcomes import Accepted, Deferred, Refused, Unknown
from emailflow_runtime.core.smtp.content import InvalidMessage, stuffed
from emailflow_runtime.core.smtp.dialogue import FLUSHED
from emailflow_runtime.core.smtp.errors import ConnectionLost, InvalidReply, TimedOut
from emailflow_runtime.core.smtp.extensions import Extensions
from emailflow_runtime.core.smtp.transaction import AT_ONCE, Transaction

MESSAGE = b"Subject: x\r\n\r\nHello\r\n"
LARGE = b"Subject: x\r\n\r\n" + b"line\r\n" * AT_ONCE
PIPELINING = Extensions(pipelining=True)
ANA = "ana@example.com"
BOB = "bob@example.com"
GO = ["250 ok", "250 ok", "354 go"]


def transaction(*recipients, message=MESSAGE, extensions=PIPELINING, sender="shop@example.com"):
    return Transaction(sender, recipients or (ANA,), message, extensions)


def test_a_mail_takes_two_round_trips_with_pipelining(play):
    mail = transaction()
    played = play(mail.run(), *GO, "250 2.0.0 Ok: queued as 4F3A9C")
    assert played.said == [
        b"MAIL FROM:<shop@example.com>\r\nRCPT TO:<ana@example.com>\r\nDATA\r\n",
        MESSAGE + b".\r\n",
    ]
    assert played.result == Accepted("Ok: queued as 4F3A9C", "4F3A9C")
    assert mail.usable


def test_without_pipelining_each_command_waits_for_its_reply(play):
    mail = transaction(ANA, BOB, extensions=Extensions())
    played = play(mail.run(), "250 ok", "250 ok", "250 ok", "354 go", "250 ok")
    assert [said[:4] for said in played.said[:-1]] == [b"MAIL", b"RCPT", b"RCPT", b"DATA"]
    assert isinstance(played.result, Accepted)


@pytest.mark.parametrize(
    ("reply", "provider_id"),
    [
        ("250 2.0.0 Ok: queued as 4F3A9C", "4F3A9C"),
        ("250 OK id=1abcDE-0002Xy-1Z", "1abcDE-0002Xy-1Z"),
        ("250 Ok 0100018f-aaaa-bbbb-000000", "0100018f-aaaa-bbbb-000000"),
        ("250 Ok queued", ""),
        ("250 thanks", ""),
    ],
)
def test_the_providers_own_id_is_kept(play, reply, provider_id):
    assert play(transaction().run(), *GO, reply).result.provider_id == provider_id


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (["550 5.1.8 no", "503 ?", "503 ?"], Refused("SenderRefused", "no", 550, "5.1.8")),
        (["451 4.3.0 later", "503 ?", "503 ?"], Deferred("SenderDeferred", "later", 451, "4.3.0")),
        (["552 5.3.4 big", "503 ?", "503 ?"], Refused("TooLarge", "big", 552, "5.3.4")),
        (["452 4.3.1 full", "503 ?", "503 ?"], Deferred("SenderDeferred", "full", 452, "4.3.1")),
        (
            ["250 ok", "550 5.1.1 who", "554 none"],
            Refused("RecipientRefused", "recipient 1 of 1: who", 550, "5.1.1"),
        ),
        (
            ["250 ok", "450 4.2.0 grey", "554 none"],
            Deferred("RecipientDeferred", "recipient 1 of 1: grey", 450, "4.2.0"),
        ),
        (
            ["250 ok", "552 many", "554 none"],
            Deferred("RecipientDeferred", "recipient 1 of 1: many", 452),
        ),
        (["250 ok", "250 ok", "554 no"], Refused("MessageRefused", "no", 554)),
        (["530 5.7.0 login", "530 x", "530 x"], Deferred("AuthFailed", "login", 530, "5.7.0", systemic=True)),
    ],
)
def test_a_refusal_before_the_message_is_the_outcome(play, replies, expected):
    assert play(transaction().run(), *replies, "250 reset").result == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("554 5.7.1 spam", Refused("MessageRefused", "spam", 554, "5.7.1")),
        ("552 5.3.4 big", Refused("TooLarge", "big", 552, "5.3.4")),
        ("552 5.2.2 full", Refused("MessageRefused", "full", 552, "5.2.2")),
        ("451 4.3.0 later", Deferred("MessageDeferred", "later", 451, "4.3.0")),
        ("421 4.3.2 bye", Deferred("MessageDeferred", "bye", 421, "4.3.2")),
        ("354 again", Unknown("InvalidReply", "354 after the message")),
    ],
)
def test_the_reply_to_the_message_is_the_outcome(play, reply, expected):
    assert play(transaction().run(), *GO, reply).result == expected


@pytest.mark.parametrize("given_replies", [0, 1, 2])
@pytest.mark.parametrize("error", [ConnectionLost("gone"), TimedOut("slow"), InvalidReply("noise")])
def test_an_end_before_the_message_leaves_it_certainly_not_accepted(play, given_replies, error):
    mail = transaction()
    played = play(mail.run(), *GO[:given_replies], error)
    assert played.result == Deferred(error.reason, str(error))
    assert not mail.usable


@pytest.mark.parametrize("error", [ConnectionLost("gone"), TimedOut("slow"), InvalidReply("noise")])
def test_an_end_after_the_message_leaves_it_unknown(play, error):
    mail = transaction()
    assert play(mail.run(), *GO, error).result == Unknown(error.reason, str(error))
    assert not mail.usable


@pytest.mark.parametrize("place", [0, 1, 2])
def test_421_in_any_place_defers_and_the_session_ends(play, place):
    mail = transaction()
    played = play(mail.run(), *GO[:place], "421 4.3.2 bye")
    assert isinstance(played.result, Deferred)
    assert played.result.code == 421
    assert not mail.usable
    assert len(played.said) == 1


def test_a_refusal_stays_one_when_the_server_hangs_up_after_it(play):
    mail = transaction()
    played = play(mail.run(), "550 5.1.8 no", ConnectionLost("gone"))
    assert played.result == Refused("SenderRefused", "no", 550, "5.1.8")
    assert not mail.usable


def test_after_a_refusal_the_session_is_reset(play):
    mail = transaction()
    assert play(mail.run(), "250 ok", "550 who", "554 none", "250 reset").said[-1] == b"RSET\r\n"
    assert mail.usable


def test_a_session_that_can_not_be_reset_is_not_used_again(play):
    mail = transaction()
    play(mail.run(), "250 ok", "550 who", "554 none", "502 what")
    assert not mail.usable


def test_one_refused_recipient_means_that_nobody_gets_the_mail(play):
    mail = transaction(ANA, BOB)
    played = play(mail.run(), "250 ok", "250 ok", "550 5.1.1 who", "250 reset")
    assert played.result == Refused("RecipientRefused", "recipient 2 of 2: who", 550, "5.1.1")
    assert not any(b"DATA" in said for said in played.said)


def test_data_accepted_for_nobody_is_ended_with_an_empty_message(play):
    mail = transaction()
    played = play(mail.run(), "250 ok", "550 who", "354 go", "554 no recipients", "250 reset")
    assert played.said[1:] == [b".\r\n", b"RSET\r\n"]
    assert isinstance(played.result, Refused)
    assert mail.usable


def test_data_accepted_for_somebody_after_a_refused_sender_is_not_ended_at_all(play):
    mail = transaction()
    played = play(mail.run(), "550 no", "250 ok", "354 go")
    assert len(played.said) == 1
    assert isinstance(played.result, Refused)
    assert not mail.usable


def test_the_end_of_a_large_message_waits_until_the_rest_has_left(play):
    played = play(transaction(message=LARGE).run(), *GO, FLUSHED, "250 ok")
    assert played.said[1:] == [LARGE, b".\r\n"]
    assert isinstance(played.result, Accepted)


def test_a_connection_lost_in_a_large_message_is_not_unknown(play):
    assert play(transaction(message=LARGE).run(), *GO, ConnectionLost("gone")).result == Deferred(
        "ConnectionLost", "gone"
    )


def test_a_reply_that_comes_within_the_message_counts_but_ends_the_session(play):
    mail = transaction(message=LARGE)
    assert play(mail.run(), *GO, "552 5.3.4 big").result == Refused("TooLarge", "big", 552, "5.3.4")
    assert not mail.usable


def test_a_mail_beyond_the_servers_size_is_refused_unasked(play):
    played = play(transaction(extensions=Extensions(size=10)).run())
    assert (played.said, played.result.reason) == ([], "TooLarge")


def test_the_size_is_declared_where_it_is_asked_for(play):
    played = play(transaction(extensions=Extensions(size=0)).run())
    assert played.said == [f"MAIL FROM:<shop@example.com> SIZE={len(MESSAGE)}\r\n".encode()]


def test_an_address_outside_ascii_needs_smtputf8(play):
    recipient = "søren@example.com"
    assert play(transaction(recipient).run()).result.reason == "Utf8NotOffered"
    played = play(transaction(recipient, extensions=Extensions(utf8=True)).run(), "250 ok")
    assert played.said == [
        b"MAIL FROM:<shop@example.com> SMTPUTF8\r\n",
        "RCPT TO:<søren@example.com>\r\n".encode(),
    ]


def test_an_8_bit_message_needs_8bitmime(play):
    message = "Subject: x\r\n\r\né\r\n".encode()
    assert play(transaction(message=message).run()).result.reason == "EightBitNotOffered"
    played = play(transaction(message=message, extensions=Extensions(eight_bit=True)).run())
    assert played.said == [b"MAIL FROM:<shop@example.com> BODY=8BITMIME\r\n"]


def test_the_null_sender_is_said_as_such(play):
    assert play(transaction(sender="").run()).said[0].startswith(b"MAIL FROM:<>\r\n")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "ana@",
        "@example.com",
        "a b@example.com",
        "a@b>\r\nRCPT TO:<c@d",
        "a@b\0",
        "a" * 250 + "@b.example",
    ],
)
def test_what_is_no_address_never_reaches_a_command(play, address):
    played = play(transaction(ANA, address).run())
    assert played.said == []
    assert played.result == Refused("InvalidAddress", "recipient 2: expected local-part@domain")


def test_no_outcome_repeats_an_address(play):
    played = play(transaction().run(), "250 ok", "550 5.1.1 <Ana@Example.com>: unknown", "554 x", "250 ok")
    assert played.result.reply == "recipient 1 of 1: <…>: unknown"


@pytest.mark.parametrize("message", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\n", b"a\0b\r\n"])
def test_a_message_that_servers_read_differently_is_refused_unsaid(play, message):
    played = play(transaction(message=message).run())
    assert (played.said, played.result.reason) == ([], "InvalidMessage")


@given(st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x", b"x.", b"text"])))
def test_a_receiver_undoes_the_dots_and_never_ends_early(lines):
    message = b"".join(line + b"\r\n" for line in lines)
    sent = stuffed(message)
    received = sent.split(b"\r\n")
    assert b"." not in received
    assert b"\r\n".join(line[1:] if line.startswith(b".") else line for line in received) in {
        message,
        message + b"\r\n",
    }


def test_a_message_without_a_last_line_end_gets_one():
    assert stuffed(b"x") == b"x\r\n"


@given(st.binary(max_size=50))
def test_only_whole_line_ends_are_sent(data):
    try:
        sent = stuffed(data)
    except InvalidMessage:
        return
    assert sent.replace(b"\r\n", b"").translate(None, b"\r\n\0") == sent.replace(b"\r\n", b"")
