"""A session opens only as it was declared: never in clear when TLS was asked for, never without a login."""

import base64

import pytest

from emailflow_runtime.core.smtp.errors import TimedOut
from emailflow_runtime.core.smtp.extensions import Extensions
from emailflow_runtime.core.smtp.opening import authenticate, greet, hello, quit_session, start_tls


def failure(played):
    outcome = played.error.outcome
    assert outcome.systemic
    return outcome.reason, outcome.code


def test_a_greeting_other_than_220_is_the_providers_trouble(play):
    assert failure(play(greet(), "554 5.3.2 closed")) == ("ConnectFailed", 554)
    assert failure(play(greet(), TimedOut("slow"))) == ("ConnectFailed", 0)


def test_ehlo_gives_the_extensions(play):
    played = play(hello("a.example"), "250-mx\r\n250 PIPELINING")
    assert (played.said, played.result) == ([b"EHLO a.example\r\n"], Extensions(pipelining=True))


def test_an_old_server_is_asked_with_helo_and_offers_nothing(play):
    played = play(hello("a.example"), "502 what", "250-mx\r\n250 PIPELINING")
    assert (played.said[1], played.result) == (b"HELO a.example\r\n", Extensions())


def test_a_server_that_knows_neither_fails(play):
    assert failure(play(hello("a.example"), "502 what", "502 what")) == ("ConnectFailed", 502)
    assert failure(play(hello("a.example"), "421 busy")) == ("ConnectFailed", 421)


@pytest.mark.parametrize("name", ["", "a b", "a\r\nMAIL FROM:<>", "[::1", "é.example"])
def test_a_name_that_is_none_is_never_said(play, name):
    played = play(hello(name))
    assert (played.said, failure(played)) == ([], ("InvalidHello", 0))


@pytest.mark.parametrize("name", ["localhost", "a-1.example.com", "[127.0.0.1]", "[IPv6:::1]"])
def test_host_names_and_address_literals_are_said(play, name):
    assert play(hello(name), "250 mx").result == Extensions()


def test_without_starttls_nothing_more_is_said(play):
    played = play(start_tls(Extensions()))
    assert (played.said, failure(played)) == ([], ("TlsFailed", 0))


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "501 no", "334 go on"])
def test_a_wrong_answer_to_starttls_fails(play, answer):
    assert failure(play(start_tls(Extensions(start_tls=True)), answer))[0] == "TlsFailed"


def test_a_server_that_closes_instead_is_not_a_tls_failure(play):
    assert failure(play(start_tls(Extensions(start_tls=True)), "421 bye")) == ("ConnectFailed", 421)


def test_plain_is_preferred(play):
    mechanisms = Extensions(mechanisms=frozenset({"LOGIN", "PLAIN"}))
    played = play(authenticate(mechanisms, "ana", b"s3cret"), "235 2.7.0 ok")
    assert played.said == [b"AUTH PLAIN " + base64.b64encode(b"\0ana\0s3cret") + b"\r\n"]
    assert played.error is None


def test_login_says_name_and_password_when_asked(play):
    login = authenticate(Extensions(mechanisms=frozenset({"LOGIN"})), "ana", b"s3cret")
    played = play(login, "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok")
    assert played.said == [b"AUTH LOGIN\r\n", b"YW5h\r\n", b"czNjcmV0\r\n"]
    assert played.error is None


def test_a_refused_login_names_nobody(play):
    played = play(
        authenticate(Extensions(mechanisms=frozenset({"PLAIN"})), "ana", b"s3cret"), "535 5.7.8 no ana here"
    )
    assert failure(played) == ("AuthFailed", 535)
    assert "ana" not in str(played.error)


def test_a_server_that_wants_more_than_plain_has_is_refused(play):
    login = authenticate(Extensions(mechanisms=frozenset({"PLAIN"})), "ana", b"s3cret")
    assert failure(play(login, "334 and?")) == ("AuthFailed", 334)


def test_without_a_known_mechanism_no_password_is_said(play):
    played = play(authenticate(Extensions(mechanisms=frozenset({"CRAM-MD5"})), "ana", b"s3cret"))
    assert (played.said, failure(played)) == ([], ("AuthFailed", 0))


def test_goodbye_is_said_whatever_comes_back(play):
    assert play(quit_session(), "221 bye").error is None
    assert play(quit_session()).said == [b"QUIT\r\n"]
