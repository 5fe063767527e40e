"""The life of workers: started, confined, replaced, ended."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from emailflow_runtime.adapters.render_worker import frames
from emailflow_runtime.adapters.render_worker.pool import RenderPool
from emailflow_runtime.errors import RenderError, Unavailable

WORKER = [sys.executable, "-I", "-m", "emailflow_runtime.adapters.render_worker", str(256 << 20), "1.0"]


def first_reply(stdout):
    length = frames.frame_length(stdout.read(4))
    return next(frames.Unframer().feed(length.to_bytes(4, "big") + stdout.read(length)))


@pytest.fixture
def worker():
    process = subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, cwd="/")
    assert first_reply(process.stdout) == frames.READY
    with process:
        yield process
        process.kill()


def test_a_worker_ends_when_its_input_does(worker):
    worker.stdin.close()
    assert worker.wait(timeout=10) == 0


def test_a_worker_is_confined(worker):
    limit = lambda kind: resource.prlimit(worker.pid, kind)[0]  # noqa: E731
    assert limit(resource.RLIMIT_AS) == 256 << 20
    assert limit(resource.RLIMIT_CORE) == limit(resource.RLIMIT_FSIZE) == limit(resource.RLIMIT_NPROC) == 0
    assert limit(resource.RLIMIT_NOFILE) == 32
    assert Path(f"/proc/{worker.pid}/environ").read_bytes().count(b"=") <= 1
    assert Path(f"/proc/{worker.pid}/cwd").readlink() == Path("/")


def test_a_busy_worker_that_nobody_watches_ends_by_itself(worker, request_for):
    request = request_for("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    order = frames.Order(1, "t", "en", frames.encoded_context({}))
    worker.stdin.write(frames.framed(frames.Orders((order,), {"t": request.template})))
    worker.stdin.close()
    assert worker.wait(timeout=30) == -signal.SIGXCPU


async def test_a_worker_that_dies_is_replaced_and_its_mails_are_rendered(make_pool, request_for):
    pool = await make_pool(workers=1)
    mails = [asyncio.create_task(pool.render(request_for("<p>{{ n }}</p>", n=n))) for n in range(100)]
    await asyncio.sleep(0)
    os.kill(pool.pids[0], signal.SIGKILL)
    assert [mail.text for mail in await asyncio.gather(*mails)] == [str(n) for n in range(100)]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_mail_that_its_worker_dies_of_twice_has_failed(make_pool, request_for):
    pool = await make_pool(deadline=30.0)
    endless = request_for("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    mail = asyncio.create_task(pool.render(endless))
    killed = set()
    while not mail.done():
        for pid in set(pool.pids) - killed:
            if cpu_seconds(pid) > 0.8:  # far more than starting takes: it is at the mail
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        await asyncio.sleep(0.01)
    with pytest.raises(RenderError, match="twice") as raised:
        await mail
    assert raised.value.reason == "RenderFailed"
    assert len(killed) == 2


async def test_closing_ends_the_workers_and_tells_who_waits(request_for):
    pool = RenderPool(deadline=30.0)
    await pool.start()
    pids = pool.pids
    endless = request_for("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    mail = asyncio.create_task(pool.render(endless))
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(Unavailable):
        await mail
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(Unavailable):
        await pool.render(endless)


@pytest.mark.parametrize("executable", ["/bin/false", "/no/such/file"])
async def test_a_worker_that_cannot_start_is_said_so(monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    pool = RenderPool()
    with pytest.raises(Unavailable, match="could not start"):
        await pool.start()
    await pool.close()


async def test_a_context_that_is_no_json_fails_alone(make_pool, request_for):
    pool = await make_pool()
    good, bad = request_for("<p>fine</p>"), request_for("<p>x</p>", v=object())
    results = await asyncio.gather(pool.render(bad), pool.render(good), return_exceptions=True)
    assert results[0].reason == "RenderFailed"
    assert results[1].text == "fine"


async def test_a_mail_that_nobody_waits_for_any_more_stops_no_other(make_pool, request_for):
    pool = await make_pool()
    mail = asyncio.create_task(pool.render(request_for("<p>x</p>")))
    await asyncio.sleep(0)
    mail.cancel()
    assert (await pool.render(request_for("<p>y</p>"))).text == "y"


async def test_more_templates_than_a_worker_keeps(make_pool, request_for):
    pool = await make_pool(workers=1)
    requests = [request_for(f"<p>{n}</p>") for n in range(1100)]
    mails = await asyncio.gather(*map(pool.render, [*requests, *requests[:50]]))
    assert [mail.text for mail in mails] == [str(n) for n in (*range(1100), *range(50))]


def test_a_frame_may_come_in_pieces():
    whole = frames.framed(frames.Reply(1, None, "RenderFailed", "x")) * 2
    unframer = frames.Unframer()
    replies = [reply for byte in whole for reply in unframer.feed(bytes([byte]))]
    assert [reply.id for reply in replies] == [1, 1]


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\0\0\x01\xc1", b"\0\0\0\x02\x91\x01"])
def test_what_is_no_frame_is_refused(data):
    with pytest.raises(frames.InvalidFrame):
        list(frames.Unframer().feed(data))


def test_contexts_keep_their_values():
    value = {"a": [1, 2.5, None, True, "ä"], "b": {"c": 2**63}}
    assert frames.decoded_context(msgspec.Raw(frames.encoded_context(value))) == value
