"""SIGKILL of everything in the middle: what was accepted has its mail once, or the recorded `unknown`.

The oracle is a ledger: the ids that the door accepted, against the mails in the inbox and the facts in
the log.
"""

import asyncio
import json
import threading
from collections import Counter

from nats.aio.client import Client
from tests.integration.laptop.conftest import Dev, until

KIND = "com.example.signed_up"
SIGN_UPS = 100
UNKNOWN = "emailflow.default.default.events.0.own.dev.emailflow.message.unknown"


def unknown_mails(dev: Dev) -> set[str]:
    """The ids of mails whose outcome the log says is unknown."""
    return asyncio.run(_unknown_mails(dev.ports["nats"]))


async def _unknown_mails(port: int) -> set[str]:
    client = Client()
    await client.connect(f"nats://127.0.0.1:{port}")
    js = client.jetstream()
    found: set[str] = set()
    info = await js.stream_info("default_default_EVENTS", subjects_filter=UNKNOWN)
    if info.state.subjects:
        subscription = await js.subscribe(UNKNOWN, ordered_consumer=True)
        for _ in range(info.state.subjects[UNKNOWN]):
            found.add(json.loads((await subscription.next_msg(5)).data)["mail"])
    await client.close()
    return found


def test_every_accepted_sign_up_has_its_mail_once_or_the_recorded_unknown(dev: Dev) -> None:
    accepted: set[str] = set()
    half = threading.Event()

    def sign_up(numbers: range) -> None:
        for number in numbers:
            name = f"u{number}"
            if dev.post(KIND, {"email": f"{name}@example.com", "name": name}, name) == 202:
                accepted.add(name)
            if len(accepted) >= SIGN_UPS // 2:
                half.set()

    threads = [threading.Thread(target=sign_up, args=(range(i, SIGN_UPS, 4),)) for i in range(4)]
    for thread in threads:
        thread.start()
    half.wait(60)
    dev.kill()
    for thread in threads:
        thread.join(60)
    assert accepted
    dev.start()

    def missing() -> set[str]:
        return {f"Hello {name}" for name in accepted} - set(dev.subjects())

    until(lambda: len(missing()) <= len(unknown_mails(dev)), within=60)
    counts = Counter(dev.subjects())
    assert max(counts.values()) == 1
    assert len(missing()) <= len(unknown_mails(dev))
