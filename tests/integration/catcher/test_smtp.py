"""The catcher speaks SMTP with a client that isn't ours, and answers only for what it has stored."""

import asyncio
import contextlib
import logging
import smtplib
import sqlite3

import pytest

from emailflow_runtime.adapters.mail_catcher import MailCatcher, NotLoopback, PortInUse


async def test_a_mail_is_in_the_inbox_once_it_was_accepted(running, mail) -> None:
    refused = await running.talk(lambda client: client.send_message(mail))

    assert refused == {}
    opened = running.catcher.message("latest")
    assert opened.summary.subject == "Your cart"
    assert opened.return_path == "shop@example.com"
    assert opened.text == "Still there.\n.\n..and dots\n"


async def test_announces_what_it_can(running) -> None:
    def extensions(client: smtplib.SMTP) -> dict[str, str]:
        client.ehlo()
        return client.esmtp_features

    assert await running.talk(extensions) == {
        "size": str(25 * 1024 * 1024),
        "8bitmime": "",
        "smtputf8": "",
        "pipelining": "",
        "help": "",
    }


async def test_takes_internationalized_mail(running) -> None:
    message = "From: zoë@exämple.com\r\nTo: jürgen@exämple.com\r\nSubject: Grüße\r\n\r\nHäuser\r\n".encode()
    options = ["SMTPUTF8", "BODY=8BITMIME"]

    await running.talk(
        lambda client: client.sendmail("zoë@exämple.com", ["jürgen@exämple.com"], message, options)
    )

    opened = running.catcher.message("latest")
    assert opened.return_path == "zoë@exämple.com"
    assert opened.summary.to[0].address == "jürgen@exämple.com"
    assert (opened.summary.subject, opened.text) == ("Grüße", "Häuser\n")
    assert opened.source == message


async def test_takes_bounces_from_the_empty_sender(running, mail) -> None:
    await running.talk(lambda client: client.sendmail("", ["ana@example.com"], mail.as_bytes()))

    assert running.catcher.message("latest").return_path == ""


async def test_envelope_recipients_that_no_header_names_are_blind_copies(running, mail) -> None:
    await running.talk(
        lambda client: client.send_message(mail, to_addrs=["ana@example.com", "bo@example.com"])
    )

    assert [bcc.address for bcc in running.catcher.message("latest").summary.bcc] == ["bo@example.com"]


async def test_refuses_what_is_too_large_and_goes_on(running, mail) -> None:
    def too_large_then_small(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.ehlo()
        refusal = client.mail("a@example.com", ["SIZE=26214401"])
        client.send_message(mail)
        return refusal

    code, _text = await running.talk(too_large_then_small)
    assert code == 552
    assert running.catcher.messages().total == 1


async def test_takes_a_large_attachment(running, mail) -> None:
    mail.add_attachment(bytes(3_000_000), maintype="application", subtype="zip", filename="big.zip")

    await running.talk(lambda client: client.send_message(mail))
    (part,) = running.catcher.message("latest").parts
    assert (part.file_name, len(part.content)) == ("big.zip", 3_000_000)


async def test_commands_sent_ahead_are_answered_in_order(running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(
        b"EHLO client\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
        b"Subject: 1\r\n\r\n.\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
        b"Subject: 2\r\n\r\n.\r\nQUIT\r\n"
    )
    replies = (await asyncio.wait_for(reader.read(), 10)).decode().splitlines()
    writer.close()
    await writer.wait_closed()

    assert [reply[:3] for reply in replies if reply[3] == " "] == [
        "220", "250", "250", "250", "354", "250", "250", "250", "354", "250", "221",
    ]  # fmt: skip
    assert [message.subject for message in running.catcher.messages().messages] == ["2", "1"]


async def test_many_clients_at_once_lose_nothing(running, mail) -> None:
    def ten(client: smtplib.SMTP) -> None:
        for _ in range(10):
            client.send_message(mail)

    await asyncio.gather(*(running.talk(ten) for _ in range(8)))
    assert running.catcher.messages().total == 80


async def test_says_try_again_when_the_disk_refuses(running, mail, tmp_path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "mails" / "mails.sqlite")) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT raise(ABORT, 'disk full'); END"
        )
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await running.talk(lambda client: client.send_message(mail))
        assert refused.value.smtp_code == 452
        other.execute("DROP TRIGGER full")

    await running.talk(lambda client: client.send_message(mail))
    assert running.catcher.messages().total == 1


async def test_no_address_reaches_the_log(running, mail, caplog) -> None:
    caplog.set_level(logging.INFO)
    await running.talk(lambda client: client.send_message(mail))

    assert "ana@example.com" not in caplog.text


async def test_closing_says_goodbye_to_clients(running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    await reader.readline()
    await running.catcher.close()

    assert await asyncio.wait_for(reader.read(), 10) == b"421 4.3.2 the mail catcher closes\r\n"
    writer.close()
    await writer.wait_closed()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", running.port)


async def test_listens_on_loopback_only(tmp_path, running, clock) -> None:
    catcher = MailCatcher(tmp_path / "other", clock=clock)
    with pytest.raises(NotLoopback, match=r"192\.0\.2\.1"):
        await catcher.start("192.0.2.1", 0)
    with pytest.raises(NotLoopback):
        await catcher.start("0.0.0.0", 0)
    with pytest.raises(PortInUse, match=str(running.port)):
        await catcher.start("127.0.0.1", running.port)
    await catcher.close()
