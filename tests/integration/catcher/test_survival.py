"""What was accepted outlives the process, and the inbox stays bounded."""

import asyncio
import signal
import smtplib
import sys
from pathlib import Path

import pytest

from emailflow_runtime.adapters.mail_catcher import MailCatcher, store

CATCHER = """
import asyncio, sys, time
from pathlib import Path
from emailflow_runtime.adapters.mail_catcher import MailCatcher

class Now:
    def now(self):
        return time.time_ns()

async def main():
    print(await MailCatcher(Path(sys.argv[1]), clock=Now()).start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_accepted_mails_survive_sigkill(tmp_path: Path, clock, mail) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CATCHER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 30))

    def send_then_kill() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.send_message(mail)
            client.send_message(mail)
            process.send_signal(signal.SIGKILL)
            client.close()

    await asyncio.to_thread(send_then_kill)
    await process.wait()

    catcher = MailCatcher(tmp_path, clock=clock)
    assert catcher.messages().total == 2
    assert catcher.message("latest").text == "Still there.\n.\n..and dots\n"
    await catcher.close()


async def test_marks_and_deletions_survive_a_restart(tmp_path: Path, clock) -> None:
    first = MailCatcher(tmp_path, clock=clock)
    ids = [await first.add(b"Subject: x\r\n\r\n", return_path="", recipients=[]) for _ in range(3)]
    first.mark_read(ids[:1])
    first.delete(ids[2:])
    position = first.position
    await first.close()

    second = MailCatcher(tmp_path, clock=clock)
    assert [(message.id, message.read) for message in second.messages().messages] == [
        (ids[1], False),
        (ids[0], True),
    ]
    assert second.position != position, "a page from before the restart looks again"
    assert await second.add(b"", return_path="", recipients=[]) not in ids
    await second.close()


async def test_keeps_the_newest_mails_only(tmp_path: Path, clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT_MESSAGES", 3)
    catcher = MailCatcher(tmp_path, clock=clock)
    await asyncio.gather(
        *(catcher.add(b"Subject: %d\r\n\r\n" % number, return_path="", recipients=[]) for number in range(5))
    )

    assert [message.subject for message in catcher.messages().messages] == ["4", "3", "2"]
    assert catcher.message("1") is None
    await catcher.close()
