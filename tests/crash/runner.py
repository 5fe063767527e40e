"""The runtime as the crash tests run it: `runner.py`, with one life a line on its standard input.

Each line is JSON, the fields of `Life`; each life is a fork of this process, which has everything imported,
and its process id is printed. A life is the pod's: one connection, the doors, the Runtime; on SIGTERM it
hands over. Armed with a place, it kills itself there.

What differs from a pod saves time and nothing else: mails are rendered in the process, unless `workers` says
otherwise, and a restarted replica keeps its name, so that it need not wait for its own lease. Deadlines are
the product's, but for `unknown_after`: a killed owner hands nothing over any more, so the next one need not
wait for the 35 seconds that a paused one might need.
"""

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.crash.awaits import Place, install
from tests.crash.path import PATH
from tests.crash.runner_protocol import Life

PR_SET_PDEATHSIG = 1
STOP_WITHIN = 3.0

log = logging.getLogger(__name__)


class Fuse:
    """Kills this process at a place."""

    def __init__(self) -> None:
        self._life: Life | None = None
        self._left = 0

    def arm(self, life: Life) -> None:
        self._life = life
        self._left = life.count

    def step(self, place: Place, over: bool) -> None:
        life = self._life
        if life is None or over != life.over or place != life.place:
            return
        self._left -= 1
        if self._left == 0:
            (Path(life.folder) / "reached").touch()
            os.kill(os.getpid(), signal.SIGKILL)


FUSE = Fuse()
install(PATH, FUSE.step)

from emailflow_api.jetstream.naming import Names  # noqa: E402
from emailflow_runtime.adapters.http_door import Anonymous, HttpDoor  # noqa: E402
from emailflow_runtime.adapters.http_server import HttpServer  # noqa: E402
from emailflow_runtime.adapters.in_memory.renderer import InProcessRenderer  # noqa: E402
from emailflow_runtime.adapters.jetstream.connection import Credentials, connect  # noqa: E402
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket  # noqa: E402
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket  # noqa: E402
from emailflow_runtime.adapters.secrets_in_memory import SecretsInMemory  # noqa: E402
from emailflow_runtime.app import ownership, recovery, shard  # noqa: E402
from emailflow_runtime.core.links import Keyring  # noqa: E402
from emailflow_runtime.errors import Unavailable  # noqa: E402
from emailflow_runtime.wiring import runtime as wiring  # noqa: E402


class Renderer(InProcessRenderer):
    """Starts and ends like the pool of workers, without any."""

    async def start(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to end."""


def hurry(life: Life) -> None:
    """Wait less than a pod, where nothing but time depends on it."""
    shard.START_WITHIN, shard.GIVE_UP_AFTER = 0, life.unknown_after
    recovery.GRACE = 0
    ownership.RENEW_EVERY = 0.3
    if not life.workers:
        wiring.RenderPool = Renderer


async def serve(life: Life) -> None:
    """Run until SIGTERM."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    names = Names(life.namespace, "default")
    while True:
        try:
            connection = await connect(Credentials(life.url), "crash")
            break
        except Unavailable:
            await asyncio.sleep(0.1)
    plans = await PlanBucket(connection, names.bucket("PLANS")).first()
    consents = ConsentBucket(connection, names.bucket("CONSENT"))
    await consents.start()
    keyring = Keyring({"k": b"0123456789abcdef"})
    surroundings = wiring.Surroundings(SecretsInMemory(), keyring, consents, replica=life.namespace)
    runtime = wiring.Runtime(connection, plans, surroundings)
    door = HttpServer(HttpDoor(runtime.ingest, tokens=Anonymous()))
    running = [asyncio.create_task(each) for each in (consents.follow(), runtime.run())]
    tell(life, "port", str(await door.start("127.0.0.1", 0)))
    watching = [asyncio.create_task(runtime.until_ready()), asyncio.create_task(asked.wait())]
    watching[0].add_done_callback(lambda _: tell(life, "ready", ""))
    await asyncio.wait([*running, watching[1]], return_when=asyncio.FIRST_COMPLETED)
    if asked.is_set():
        await runtime.stop(STOP_WITHIN)
        await door.close()
    for task in (*running, *watching):
        task.cancel()
    ended = await asyncio.gather(*running, *watching, return_exceptions=True)
    await connection.close()
    for each in ended:
        if isinstance(each, Exception):
            raise each


def tell(life: Life, name: str, content: str) -> None:
    aside = Path(life.folder) / f".{name}"
    aside.write_text(content)
    aside.replace(aside.with_name(name))


def live(life: Life) -> None:
    """What a fork does; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(Path(life.folder) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    status = 1
    try:
        logging.basicConfig(
            level=logging.INFO, format="%(relativeCreated)d %(levelname)s %(name)s %(message)s"
        )
        hurry(life)
        FUSE.arm(life)
        asyncio.run(serve(life))
        tell(life, "ended", "")
        status = 0
    except BaseException:
        log.exception("the runtime ended")
    finally:
        os._exit(status)


def main() -> None:
    # Nobody asks how a life ended: its folder tells.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in iter(sys.stdin.readline, ""):
        told = json.loads(line)
        place = told.get("place")
        life = Life(**{**told, "place": tuple(place) if place else None})
        pid = os.fork()
        if pid == 0:
            live(life)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
