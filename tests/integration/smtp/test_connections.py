"""Connections are kept, reused and ended politely; what a server does to one never becomes a mail's fault."""

import asyncio
import time

from emailflow_api.plans import Smtp
from emailflow_runtime.adapters.smtp.opening import Opener
from emailflow_runtime.adapters.smtp.pool import MAILS_PER_CONNECTION, Pool
from emailflow_runtime.core.outcomes import Accepted, Deferred, Refused, Unknown


async def willing(conversation):
    await conversation.greet("PIPELINING")
    await conversation.serve()


async def test_mails_one_after_the_other_share_a_connection(listen, connect, hand_over):
    server = await listen(willing)
    transport = connect(server)
    for _ in range(3):
        assert isinstance(await hand_over(transport), Accepted)
    assert len(server.conversations) == 1
    assert len(server.messages) == 3


async def test_at_once_there_are_no_more_connections_than_declared(listen, connect, hand_over):
    server = await listen(willing)
    transport = connect(server, concurrency=3)
    outcomes = await asyncio.gather(*(hand_over(transport) for _ in range(30)))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert len(server.conversations) == 3


async def test_closing_says_goodbye(listen, connect, hand_over):
    server = await listen(willing)
    transport = connect(server)
    await hand_over(transport)
    await transport.close()
    assert server.heard[-1] == "QUIT"


async def test_a_connection_that_was_closed_meanwhile_costs_no_mail(listen, connect, hand_over):
    async def one_mail(conversation):
        await conversation.greet("PIPELINING")
        await conversation.expect_message()
        await conversation.hear_message()
        await conversation.say("250 ok")

    server = await listen(one_mail)
    transport = connect(server)
    for _ in range(3):
        assert isinstance(await hand_over(transport), Accepted)
    assert len(server.messages) == 3


async def test_421_on_a_kept_connection_costs_no_mail(listen, connect, hand_over):
    async def tired(conversation):
        await conversation.greet("PIPELINING")
        await conversation.expect_message()
        await conversation.hear_message()
        await conversation.say("250 ok")
        await conversation.hear()
        await conversation.say("421 4.7.0 too many mails on this connection")

    server = await listen(tired, willing)
    transport = connect(server)
    assert isinstance(await hand_over(transport), Accepted)
    assert isinstance(await hand_over(transport), Accepted)
    assert len(server.conversations) == 2


async def test_421_on_a_new_connection_is_the_outcome(listen, connect, hand_over):
    async def full(conversation):
        await conversation.greet("PIPELINING")
        await conversation.hear()
        await conversation.say("421 4.3.2 full")

    server = await listen(full)
    assert (await hand_over(connect(server))).code == 421
    assert len(server.conversations) == 1


async def test_after_a_refusal_the_connection_goes_on(listen, connect, hand_over):
    async def picky(conversation):
        await conversation.greet("PIPELINING")
        for _ in range(3):
            await conversation.hear()
        await conversation.say("250 ok", "550 5.1.1 who", "554 nobody")
        await conversation.serve()

    server = await listen(picky)
    transport = connect(server)
    assert isinstance(await hand_over(transport), Refused)
    assert isinstance(await hand_over(transport), Accepted)
    assert "RSET" in server.heard
    assert len(server.conversations) == 1


async def test_an_idle_connection_is_ended_politely(listen):
    said_goodbye = asyncio.Event()

    async def noticing(conversation):
        await willing(conversation)
        said_goodbye.set()

    server = await listen(noticing)
    session = await _session(server)
    pool = Pool(idle_after=0.01)
    pool.give_back(session, 1)
    async with asyncio.timeout(5):
        await said_goodbye.wait()
    assert server.heard[-1] == "QUIT"
    assert pool.take() is None
    await pool.close()


async def test_a_connection_is_replaced_after_many_mails(listen):
    server = await listen(willing)
    pool = Pool()
    pool.give_back(await _session(server), MAILS_PER_CONNECTION)
    assert pool.take() is None
    await pool.close()
    assert server.heard[-1] == "QUIT"


async def test_a_mail_that_is_cancelled_drops_its_connection_and_frees_its_place(listen, connect, hand_over):
    reached = asyncio.Event()

    async def stuck(conversation):
        await conversation.greet("PIPELINING")
        await conversation.hear()
        reached.set()
        await conversation.reader.read()

    server = await listen(stuck, willing)
    transport = connect(server, concurrency=1)
    task = asyncio.create_task(hand_over(transport))
    await reached.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert isinstance(await hand_over(transport), Accepted)


async def test_a_server_that_is_not_there_is_the_providers_trouble(listen, connect, hand_over):
    async def gone(conversation):
        pass

    server = await listen(gone)
    outcome = await hand_over(connect(server))
    assert (outcome.reason, outcome.systemic) == ("ConnectFailed", True)
    outcome = await hand_over(connect(server, port=1))
    assert (outcome.reason, outcome.systemic) == ("ConnectFailed", True)


async def test_a_server_that_says_nothing_is_given_up_in_time(listen, connect, hand_over):
    async def silent(conversation):
        await conversation.reader.read()

    outcome = await hand_over(connect(await listen(silent)), within=0.2)
    assert (outcome.reason, outcome.systemic) == ("ConnectFailed", True)


async def test_a_server_that_closes_with_the_message_leaves_it_unknown(listen, connect, hand_over):
    async def vanishing(conversation):
        await conversation.greet("PIPELINING")
        await conversation.expect_message()
        await conversation.hear_message()

    server = await listen(vanishing)
    assert isinstance(await hand_over(connect(server)), Unknown)
    assert len(server.conversations) == 1


async def test_noise_after_the_message_leaves_it_unknown(listen, connect, hand_over):
    async def noisy(conversation):
        await conversation.greet("PIPELINING")
        await conversation.expect_message()
        await conversation.hear_message()
        await conversation.say("HTTP/1.1 200 OK")

    assert (await hand_over(connect(await listen(noisy)))).reason == "InvalidReply"


async def test_a_server_that_closes_within_a_large_message_has_certainly_not_taken_it(
    listen, connect, hand_over
):
    async def impatient(conversation):
        await conversation.greet("PIPELINING")
        await conversation.expect_message()
        conversation.writer.transport.abort()

    large = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 3_000_000
    outcome = await hand_over(connect(await listen(impatient)), message=large)
    assert isinstance(outcome, Deferred)
    assert not outcome.systemic


async def test_a_server_that_refuses_within_a_large_message_is_heard(listen, connect, hand_over):
    async def full(conversation):
        await conversation.greet("PIPELINING")
        await conversation.expect_message()
        await conversation.reader.readexactly(1000)
        await conversation.say("452 4.3.1 disk full")
        await conversation.reader.read()

    large = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 3_000_000
    outcome = await hand_over(connect(await listen(full)), message=large)
    assert outcome == Deferred("MessageDeferred", "disk full", 452, "4.3.1")


async def test_a_process_that_was_paused_sends_nothing_after_the_time_for_it(listen, connect, hand_over):
    heard = asyncio.get_running_loop().create_future()

    async def patient(conversation):
        await conversation.greet("PIPELINING")
        await conversation.expect_message()
        # Both ends share this process: it stands still, with the answer to DATA on its way.
        time.sleep(0.6)  # noqa: ASYNC251
        heard.set_result(await conversation.reader.read())

    outcome = await hand_over(connect(await listen(patient)), within=0.5)
    assert isinstance(outcome, Deferred)
    assert outcome.reason == "TimedOut"
    assert await heard == b""


async def _session(server):
    declared = Smtp(host="127.0.0.1", port=server.port, tls="None")
    opener = Opener(declared, password=None, ca=None, name="client.example")
    return await opener.open(give_up_at=asyncio.get_running_loop().time() + 5)
