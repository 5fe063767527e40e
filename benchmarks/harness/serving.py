"""The runtime as a process of its own, as a pod runs it: `python -m harness.serving JSON`.

Prints JSON when it is ready: `http`, the door's port, and `ready`, the seconds since its start. SIGTERM
ends it.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time

import uvloop

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.http_door import Anonymous, HttpDoor
from emailflow_runtime.adapters.http_server import HttpServer
from emailflow_runtime.adapters.jetstream.connection import Credentials, connect
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.secrets_in_memory import SecretsInMemory
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.wiring.collector import spare
from emailflow_runtime.wiring.runtime import Runtime, Surroundings


async def main() -> None:
    """Serve until SIGTERM."""
    options = json.loads(sys.argv[1])
    started = time.monotonic()
    connection = await connect(Credentials(options["nats"]), "bench")
    names = Names(options["namespace"], options["name"])
    plans = await PlanBucket(connection, names.bucket("PLANS")).first()
    consents = ConsentBucket(connection, names.bucket("CONSENT"))
    keyring = Keyring({"bench": b"0123456789abcdef0123456789abcdef"})
    spare()
    runtime = Runtime(connection, plans, Surroundings(SecretsInMemory(), keyring, consents))
    server = HttpServer(HttpDoor(runtime.ingest, tokens=Anonymous()))
    port = await server.start("127.0.0.1", 0)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    running = [asyncio.create_task(consents.follow()), asyncio.create_task(runtime.run())]
    await asyncio.wait(
        [asyncio.create_task(runtime.until_ready()), running[1]], return_when=asyncio.FIRST_COMPLETED
    )
    print(json.dumps({"http": port, "ready": time.monotonic() - started}), flush=True)
    await asyncio.wait([asyncio.create_task(asked.wait()), *running], return_when=asyncio.FIRST_COMPLETED)
    await runtime.stop(5)
    await server.close()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await connection.close()


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("BENCH_LOG", "ERROR"))
    if path := os.environ.get("BENCH_PROFILE"):
        import cProfile

        profile = cProfile.Profile()
        profile.runcall(lambda: uvloop.run(main()))
        profile.dump_stats(path)
    else:
        uvloop.run(main())
