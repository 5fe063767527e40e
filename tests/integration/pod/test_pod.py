"""A runtime pod: it waits for what others make, is ready within seconds, ends cleanly, comes back."""

import asyncio
import os
import re
import signal
import sys

import pytest
from msgspec.structs import replace
from tests.unit.door.test_service_accounts import ISSUER, jwks, token

from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket

from .conftest import KIND, NAMES, subjects, until


@pytest.fixture
async def ready(pod, operator, plans):
    await operator.make_streams(plans)
    await operator.apply(plans)
    await pod.start()
    assert await until(pod.is_ready), pod.log.read_text()
    return pod


async def test_an_event_becomes_a_mail(ready, mailbox):
    assert (await ready.post("ana"))[0] == 202

    async def arrived():
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello ana"]
    (mail,) = mailbox.messages().messages
    assert b"<https://mail.example.com/l/" in mailbox.message(mail.id).source


async def test_without_a_public_url_a_mail_goes_out_without_links(pod, operator, plans, mailbox):
    nowhere = replace(plans, runtime=replace(plans.runtime, public_url=""))
    await operator.make_streams(nowhere)
    await operator.apply(nowhere)
    await pod.start()
    assert await until(pod.is_ready), pod.log.read_text()
    assert (await pod.post("ana"))[0] == 202

    async def arrived():
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello ana"]
    (mail,) = mailbox.messages().messages
    assert b"List-Unsubscribe" not in mailbox.message(mail.id).source


async def test_an_event_that_is_published_on_nats_becomes_a_mail(ready, operator, mailbox):
    headers = {"ce-specversion": "1.0", "ce-id": "n1", "ce-source": "/shop", "ce-type": KIND}
    headers["ce-datacontenttype"] = "application/json"
    data = b'{"email": "ana@example.com", "name": "Ana"}'
    for _ in range(2):
        await operator.connection.request(NAMES.inbound_subject(KIND), data, headers)

    async def arrived():
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello Ana"]


async def test_it_waits_unready_for_what_the_operator_makes(pod, operator, plans):
    await pod.start()

    async def waits_for(what):
        return (await pod.probe("/readyz")) == (503, {"status": "waiting", "for": what})

    assert await until(lambda: waits_for("PLANS"))
    assert (await pod.post("ana"))[0] == 503
    assert (await pod.probe("/healthz"))[0] == 200
    await operator.make_streams(plans)
    await operator.apply(plans)

    assert await until(pod.is_ready), pod.log.read_text()
    assert (await pod.post("ana"))[0] == 202


async def test_it_waits_unready_for_nats(pod, server, operator, plans, mailbox):
    await operator.make_streams(plans)
    await operator.apply(plans)
    await server.stop()
    await pod.start()

    async def waits_for_nats():
        return (await pod.probe("/readyz")) == (503, {"status": "waiting", "for": "NATS"})

    assert await until(waits_for_nats)
    await server.start()

    assert await until(pod.is_ready), pod.log.read_text()


async def test_nats_away_makes_it_unready_and_nothing_is_lost(ready, server, mailbox):
    await server.stop()

    async def unready():
        return not await ready.is_ready()

    assert await until(unready)
    assert (await ready.probe("/healthz"))[0] == 200
    await server.start()
    assert await until(ready.is_ready)

    async def accepted():
        return (await ready.post("ana"))[0] == 202

    assert await until(accepted)

    async def arrived():
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello ana"]


async def test_asked_to_end_it_finishes_and_exits_with_0(ready, mailbox):
    statuses = await asyncio.gather(*(ready.post(f"u{number}") for number in range(30)))
    assert {status for status, _ in statuses} == {202}

    assert await ready.stop() == 0

    await ready.start()
    assert await until(ready.is_ready)

    async def all_there():
        return len(await subjects(mailbox)) >= 30

    assert await until(all_there)
    assert len(set(await subjects(mailbox))) == len(await subjects(mailbox)) == 30


async def test_it_ends_while_nats_takes_connections_and_says_nothing(ready, server):
    assert (await ready.post("ana"))[0] == 202
    os.kill(server.pid, signal.SIGSTOP)
    try:
        # More than the kernel takes in the server's stead.
        events = [ready.post("ana", event_id=f"e{number}", padding=900_000) for number in range(32)]
        posting = asyncio.gather(*events, return_exceptions=True)

        async def waits():
            return "no answer from NATS" in ready.log.read_text()

        assert await until(waits)

        assert await ready.stop() == 0
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await posting


async def test_a_pod_that_never_got_ready_ends_at_once(pod):
    await pod.start()

    assert await pod.stop() == 0


async def test_it_makes_no_stream_itself(pod, operator, server):
    await pod.start()

    async def waits():
        return (await pod.probe("/readyz"))[1] == {"status": "waiting", "for": "PLANS"}

    assert await until(waits)
    assert (await operator.connection.api("STREAM.NAMES"))["streams"] is None


async def test_settings_that_are_none_are_said_so(pod, tmp_path):
    await pod.start()
    await pod.stop()
    (tmp_path / "runtime.json").write_text('{"namespace": "mail"}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "emailflow_cli", "runtime", "--settings", str(tmp_path / "runtime.json")),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()

    assert process.returncode == 2
    assert b"expected the settings of a runtime pod" in said
    assert b"`name`" in said


async def test_a_new_plan_is_in_force_without_a_restart(ready, operator, plans, mailbox):
    text = plans.templates["mail/hello"]
    changed = type(text)(**{f: getattr(text, f) for f in text.__struct_fields__} | {"subject": "Welcome"})
    plans.templates["mail/hello"] = changed
    await PlanBucket(operator.connection, NAMES.bucket("PLANS")).write(plans)
    names = iter(range(1000))

    async def welcomed():
        await ready.post(f"u{next(names)}")
        return "Welcome" in await subjects(mailbox)

    assert await until(welcomed)


async def test_it_waits_for_the_keyring_whose_secret_may_come_later(pod, operator, plans, tmp_path):
    await operator.make_streams(plans)
    await operator.apply(plans)
    await pod.start(keyring=str(tmp_path / "keyring"))

    async def waits():
        return (await pod.probe("/readyz"))[1] == {"status": "waiting", "for": "the keyring"}

    assert await until(waits)
    (tmp_path / "keyring").write_text(f"k1: {'a' * 32}\n")

    assert await until(pod.is_ready), pod.log.read_text()


async def test_without_a_verifier_a_pod_lets_nobody_in_and_events_on_nats_come_in(
    pod, operator, plans, mailbox
):
    await operator.make_streams(plans)
    await operator.apply(plans)
    await pod.start(anonymous=False)
    assert await until(pod.is_ready), pod.log.read_text()

    status, said = await pod.post("ana", "any-token")
    assert (status, said["reason"]) == (401, "ReceiverClosed")

    headers = {"ce-specversion": "1.0", "ce-id": "n1", "ce-source": "/shop", "ce-type": KIND}
    headers["ce-datacontenttype"] = "application/json"
    data = b'{"email": "ana@example.com", "name": "Ana"}'
    await operator.connection.request(NAMES.inbound_subject(KIND), data, headers)

    async def arrived():
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello Ana"]


async def test_events_and_links_are_on_ports_of_their_own(ready, mailbox):
    assert (await ready.post("ana"))[0] == 202

    async def arrived():
        return await subjects(mailbox)

    assert await until(arrived) == ["Hello ana"]
    (mail,) = mailbox.messages().messages
    (path,) = set(re.findall(rb"https://mail.example.com(/l/[^>]+)>", mailbox.message(mail.id).source))

    assert await ready.status("links", "GET", path.decode()) == 200
    assert await ready.status("events", "GET", path.decode()) == 404
    assert await ready.status("events", "POST", path.decode()) == 404
    assert await ready.status("links", "POST", "/events") == 404
    for other in ("/healthz", "/readyz", "/metrics"):
        assert await ready.status("links", "GET", other) == 404
        assert await ready.status("events", "GET", other) == 404
        assert await ready.status("admin", "GET", other) == 200
    assert await ready.status("admin", "POST", "/events") == 404


@pytest.fixture
async def guarded(pod, operator, plans, tmp_path):
    """A pod whose door asks who somebody is: one of its tokens, or a ServiceAccount of `mail`."""
    (tmp_path / "jwks.json").write_text(jwks("rsa"))
    await operator.make_streams(plans)
    await operator.apply(plans)
    tokens = str(tmp_path / "tokens")
    await pod.start(anonymous=False, tokens=tokens, issuer=ISSUER, jwks=str(tmp_path / "jwks.json"))
    assert await until(pod.is_ready), pod.log.read_text()
    return pod


async def test_who_may_send_to_a_pod(guarded, tmp_path):
    mine, others = (
        token(sub=f"system:serviceaccount:{namespace}:app", aud=["emailflow/mail/default"])
        for namespace in ("mail", "shop")
    )
    # The Secret of the door's tokens is not there yet: nobody can tell whose token it is.
    assert (await guarded.post("a", "shop-token"))[0] == 503
    (tmp_path / "tokens").write_text("shop:shop-token\n")

    assert (await guarded.post("a"))[0] == 401
    assert (await guarded.post("b", "another"))[0] == 401
    assert (await guarded.post("c", "shop-token"))[0] == 202
    assert (await guarded.post("d", mine))[0] == 202
    status, said = await guarded.post("e", others)
    assert (status, said["reason"]) == (403, "Forbidden")
