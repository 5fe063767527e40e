"""The SMTP client with servers that somebody else wrote: Debian's Postfix, Exim and OpenSMTPD."""

import asyncio
from email import message_from_bytes, policy

import pytest

from emailflow_runtime.core.outcomes import Accepted, Deferred, Refused

from .servers import EXIM, EXIM_WITH_LOGIN, LARGEST, OPENSMTPD, PASSWORD, POSTFIX, USER, MailServer

DOTS = ".one\r\n..two\r\n.\r\nbye\r\n"


def mail(name: str, body: str = DOTS) -> bytes:
    head = f"From: shop@shop.example\r\nTo: ana@example.com\r\nSubject: {name}\r\nMIME-Version: 1.0\r\n"
    kind = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    return f"{head}{kind}\r\n{body}".encode()


def body_of(message: bytes) -> str:
    content = message_from_bytes(message, policy=policy.default).get_content()
    assert isinstance(content, str)
    return content.replace("\n", "\r\n") if "\r\n" not in content else content


def named(server: MailServer, name: str) -> list[bytes]:
    return [each for each in server.received(0) if f"Subject: {name}".encode() in each]


async def test_every_mail_arrives_once_and_as_it_was(server: MailServer, client) -> None:
    before = len(server.received(0))
    connected = client(server)
    outcomes = await asyncio.gather(*(connected.send(mail(f"n{number}")) for number in range(40)))
    assert {type(each) for each in outcomes} == {Accepted}
    found = [each for each in server.received(before + 40) if b"Subject: n" in each]
    assert len(found) == 40
    assert len({each.split(b"Subject: ")[1].split()[0] for each in found}) == 40
    assert {body_of(each) for each in found} == {DOTS}


async def test_the_servers_name_of_the_mail_is_kept(server: MailServer, client) -> None:
    outcome = await client(server).send(mail("name"))
    assert isinstance(outcome, Accepted)
    assert outcome.reply
    assert outcome.provider_id or server.kind == OPENSMTPD


async def test_eight_bit_text_arrives_as_it_was(server: MailServer, client) -> None:
    assert isinstance(await client(server).send(mail("eight", "Grüße, 你好\r\n")), Accepted)
    await _until_named(server, "eight")
    assert body_of(named(server, "eight")[0]) == "Grüße, 你好\r\n"


@pytest.mark.parametrize("kind", [POSTFIX, EXIM], ids=["postfix", "exim"])
async def test_through_tls(start, kind, client) -> None:
    server = start(kind)
    assert isinstance(await client(server, tls="StartTls").send(mail("tls")), Accepted)
    await _until_named(server, "tls")


async def test_an_address_that_is_refused_says_so_and_the_next_mail_goes_on_the_same_session(
    server: MailServer, client
) -> None:
    connected = client(server, concurrency=1)
    refused = await connected.send(mail("refused"), "nobody@example.com")
    assert isinstance(refused, Refused)
    assert refused.code in {550, 554}
    assert "nobody@example.com" not in refused.reply
    assert isinstance(await connected.send(mail("after")), Accepted)
    await _until_named(server, "after")
    assert named(server, "refused") == []


async def test_with_one_refused_recipient_nobody_gets_the_mail(server: MailServer, client) -> None:
    connected = client(server)
    outcome = await connected.send(mail("half"), "ana@example.com", "nobody@example.com")
    assert isinstance(outcome, Refused)
    assert isinstance(await connected.send(mail("whole"), "ana@example.com", "bob@example.com"), Accepted)
    await _until_named(server, "whole", count=2)
    assert named(server, "half") == []


async def test_a_mail_that_is_too_large_is_not_even_begun(server: MailServer, client) -> None:
    outcome = await client(server).send(mail("large", ("x" * 70 + "\r\n") * (LARGEST // 60)))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "TooLarge"


async def test_an_address_outside_ascii(server: MailServer, client) -> None:
    outcome = await client(server).send(mail("utf8"), "jörg@example.com")
    if server.kind.utf8:
        assert isinstance(outcome, Accepted)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.reason == "Utf8NotOffered"


@pytest.mark.parametrize("kind", [EXIM, EXIM_WITH_LOGIN], ids=["plain", "login"])
async def test_logging_in(start, kind, client) -> None:
    server = start(kind)
    login = {"tls": "StartTls", "username": USER}
    assert isinstance(await client(server, password=PASSWORD, **login).send(mail("auth")), Accepted)
    refused = await client(server, password="wrong", **login).send(mail("wrong"))
    assert isinstance(refused, Deferred)
    assert (refused.reason, refused.systemic) == ("AuthFailed", True)
    assert USER not in refused.reply.split()


async def test_a_server_that_was_killed_between_mails_is_met_again(server: MailServer, client) -> None:
    connected = client(server)
    assert isinstance(await connected.send(mail("first")), Accepted)
    server.kill()
    away = await connected.send(mail("away"))
    assert isinstance(away, Deferred)
    assert away.systemic
    server.start()
    assert isinstance(await connected.send(mail("again")), Accepted)
    await _until_named(server, "again")
    assert named(server, "away") == []


async def _until_named(server: MailServer, name: str, count: int = 1) -> None:
    """Return when so many copies of that mail are there: servers deliver after they have accepted."""
    async with asyncio.timeout(20):
        # A folder that another process fills has no event to wait for.
        while len(named(server, name)) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
