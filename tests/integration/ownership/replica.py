"""One runtime as a process of its own: `replica.py URL NAME [PLACE:ID]`. It ends on SIGTERM as a pod does.

What it owns is told by LEASES; on its standard output stand its log and nothing else. Everything that takes
seconds in a pod takes less of them here, in much the same proportions. With PLACE:ID it kills itself whenever
it comes to that place (`POISON`) with what the event of this id caused.
"""

import asyncio
import logging
import os
import signal
import sys
from typing import Any

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream import feed, lease_bucket
from emailflow_runtime.adapters.jetstream.connection import Credentials, connect
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.secrets_in_memory import SecretsInMemory
from emailflow_runtime.app import breaker, composing, contacts, desk, lanes, ownership, sender, shard
from emailflow_runtime.core import consent
from emailflow_runtime.core.inputs import EventArrived, TimerFired
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.wiring.runtime import Runtime, Surroundings

STOP_WITHIN = 2.0
LEASE_TTL = 2
NAMES = Names("mail", "default")


def hurry() -> None:
    """Let leases, pulls, intents and pauses end sooner."""
    lease_bucket.LEASE_TTL = LEASE_TTL
    ownership.RENEW_EVERY, ownership.LOOK_EVERY, ownership.PATIENCE = 0.6, 0.3, 1.0
    feed.EXPIRES, feed.SILENCE = 1, 2
    for module in (sender, shard):
        module.START_WITHIN, module.GIVE_UP_AFTER = 2, 4  # type: ignore[attr-defined]
    breaker.FIRST_PAUSE, lanes.PARKED_AT_LEAST = 1.5, 3.0


def die(wanted: bool) -> None:
    """At once, like a process that the kernel or a library takes down."""
    if wanted:
        os.kill(os.getpid(), signal.SIGKILL)


def poison_deciding(event: str) -> None:
    """Deciding about the event."""
    react = desk.react

    def poisoned(setting: Any, enrolment: Any, arrived: Any, *more: Any) -> Any:
        die(isinstance(arrived, EventArrived) and arrived.event.id == event)
        return react(setting, enrolment, arrived, *more)

    desk.react = poisoned


def poison_waking(event: str) -> None:
    """A timer of the journey that the event started."""
    react = desk.react

    def poisoned(setting: Any, enrolment: Any, arrived: Any, *more: Any) -> Any:
        if isinstance(arrived, TimerFired):
            die(any(each.event.id == event for each in enrolment.journeys.values()))
        return react(setting, enrolment, arrived, *more)

    desk.react = poisoned


def poison_reading(event: str) -> None:
    """Noting what the event says of its contact."""
    read = consent.read_consent

    def poisoned(arrived: Any) -> Any:
        die(arrived.id == event)
        return read(arrived)

    contacts.read_consent = poisoned  # type: ignore[attr-defined]


def poison_composing(event: str) -> None:
    """Making the mail of the journey that the event started."""
    compose = composing.Composer.compose

    async def poisoned(self: Any, draft: Any, *more: Any) -> Any:
        die(draft.journey.event.id == event)
        return await compose(self, draft, *more)

    composing.Composer.compose = poisoned  # type: ignore[method-assign, assignment]


POISON = {
    "deciding": poison_deciding,
    "waking": poison_waking,
    "reading": poison_reading,
    "composing": poison_composing,
}


async def serve(url: str, name: str) -> None:
    """Run until SIGTERM."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    connection = await connect(Credentials(url), name)
    plans = await PlanBucket(connection, NAMES.bucket("PLANS")).read()
    assert plans is not None
    consents = ConsentBucket(connection, NAMES.bucket("CONSENT"))
    keyring = Keyring({"k": b"0123456789abcdef"})
    runtime = Runtime(connection, plans, Surroundings(SecretsInMemory(), keyring, consents, replica=name))
    tasks = [asyncio.create_task(each) for each in (consents.follow(), runtime.run(), asked.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if asked.is_set():
        await runtime.stop(STOP_WITHIN)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    await connection.close()
    for each in ended:
        if isinstance(each, Exception):
            raise each


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(levelname)s %(name)s %(message)s")
    hurry()
    for poison in sys.argv[3:]:
        place, _, event = poison.partition(":")
        POISON[place](event)
    asyncio.run(serve(*sys.argv[1:3]))
