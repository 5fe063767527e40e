"""TLS and logins: a server proves who it is before it gets anything, and nothing said in clear survives."""

import asyncio

import pytest

from emailflow_runtime.core.outcomes import Accepted

LARGE = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 100_000


async def willing(conversation):
    await conversation.greet("PIPELINING", "AUTH PLAIN LOGIN")
    await conversation.serve()


def upgrading(context):
    async def script(conversation):
        await conversation.greet("STARTTLS")
        assert await conversation.hear() == "STARTTLS"
        await conversation.say("220 go")
        await conversation.writer.start_tls(context)
        await conversation.introduce("PIPELINING", "AUTH PLAIN LOGIN")
        await conversation.serve()

    return script


@pytest.mark.parametrize("message", [b"Subject: x\r\n\r\nHello\r\n", LARGE], ids=["small", "large"])
async def test_implicit_tls_carries_mails(listen, connect, hand_over, authority, message):
    server = await listen(willing, context=authority.context)
    transport = connect(server, tls="Implicit", ca=authority.pem)
    assert isinstance(await hand_over(transport, message), Accepted)
    assert server.messages == [message]


@pytest.mark.parametrize("message", [b"Subject: x\r\n\r\nHello\r\n", LARGE], ids=["small", "large"])
async def test_starttls_carries_mails_and_introduces_itself_again(
    listen, connect, hand_over, authority, message
):
    server = await listen(upgrading(authority.context))
    transport = connect(server, tls="StartTls", ca=authority.pem)
    assert isinstance(await hand_over(transport, message), Accepted)
    assert server.messages == [message]
    assert server.heard[:3] == ["EHLO client.example", "STARTTLS", "EHLO client.example"]


@pytest.mark.parametrize("tls", ["Implicit", "StartTls"])
@pytest.mark.parametrize(
    "wrong", ["another authority", "another name", "system's authorities", "no authority"]
)
async def test_a_server_that_is_not_proven_gets_nothing(listen, connect, hand_over, certify, tls, wrong):
    presented = certify("127.0.0.2" if wrong == "another name" else "127.0.0.1")
    trusted = {
        "another authority": certify("127.0.0.1").pem,
        "another name": presented.pem,
        "system's authorities": None,
        "no authority": b"not PEM",
    }[wrong]
    if tls == "Implicit":
        server = await listen(willing, context=presented.context)
    else:
        server = await listen(upgrading(presented.context))
    outcome = await hand_over(connect(server, tls=tls, ca=trusted, username="ana", password=b"s3cret"))
    assert (outcome.reason, outcome.systemic) == ("TlsFailed", True)
    assert [command for command in server.heard if not command.startswith(("EHLO", "STARTTLS"))] == []


async def test_a_server_without_starttls_gets_nothing(listen, connect, hand_over):
    server = await listen(willing)
    outcome = await hand_over(connect(server, tls="StartTls", username="ana", password=b"s3cret"))
    assert (outcome.reason, outcome.systemic) == ("TlsFailed", True)
    assert server.heard == ["EHLO client.example"]


@pytest.mark.parametrize("injected", ["250 injected", "250-mx\r\n250 AUTH PLAIN", "half"])
async def test_what_was_injected_after_starttls_is_never_read(
    listen, connect, hand_over, authority, injected
):
    async def intercepted(conversation):
        await conversation.greet("STARTTLS")
        await conversation.hear()
        await conversation.say("220 go", injected)
        await conversation.writer.start_tls(authority.context)

    server = await listen(intercepted)
    transport = connect(server, tls="StartTls", ca=authority.pem, username="ana", password=b"s3cret")
    outcome = await hand_over(transport)
    assert (outcome.reason, outcome.systemic) == ("TlsFailed", True)
    assert server.heard == ["EHLO client.example", "STARTTLS"]


async def test_a_server_that_closes_instead_of_tls_is_a_tls_failure(listen, connect, hand_over):
    async def closing(conversation):
        await conversation.greet("STARTTLS")
        await conversation.hear()
        await conversation.say("220 go")

    outcome = await hand_over(connect(await listen(closing), tls="StartTls"))
    assert (outcome.reason, outcome.systemic) == ("TlsFailed", True)


async def test_a_handshake_that_hangs_is_given_up_in_time(listen, connect, hand_over):
    async def hanging(conversation):
        await conversation.greet("STARTTLS")
        await conversation.hear()
        await conversation.say("220 go")
        await asyncio.get_running_loop().create_future()

    outcome = await hand_over(connect(await listen(hanging), tls="StartTls"), within=0.3)
    assert (outcome.reason, outcome.systemic) == ("TlsFailed", True)


async def test_the_login_comes_after_tls(listen, connect, hand_over, authority):
    server = await listen(upgrading(authority.context))
    transport = connect(server, tls="StartTls", ca=authority.pem, username="ana", password=b"s3cret")
    await hand_over(transport)
    assert server.heard[3] == "AUTH PLAIN AGFuYQBzM2NyZXQ="


async def test_a_refused_login_is_the_providers_trouble(listen, connect, hand_over):
    async def strict(conversation):
        await conversation.greet("AUTH PLAIN")
        await conversation.hear()
        await conversation.say("535 5.7.8 no ana here")

    outcome = await hand_over(connect(await listen(strict), username="ana", password=b"wrong"))
    assert (outcome.reason, outcome.code, outcome.systemic) == ("AuthFailed", 535, True)
    assert "ana" not in outcome.reply


async def test_a_password_does_not_leave_the_machine_in_clear(listen, connect, hand_over):
    server = await listen(willing)
    elsewhere = connect(server, host="192.0.2.1", username="ana", password=b"s3cret")
    outcome = await hand_over(elsewhere)
    assert (outcome.reason, outcome.systemic) == ("AuthFailed", True)
    assert server.conversations == []
