"""One runtime as a process of its own: `replica.py URL NAME NAMESPACE`. It ends on SIGTERM as a pod does.

What it owns is told by LEASES; on its standard output stand its log and nothing else.
"""

import asyncio
import logging
import signal
import sys

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import Credentials, connect
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.secrets_in_memory import SecretsInMemory
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.wiring.runtime import Runtime, Surroundings

STOP_WITHIN = 2.0


async def serve(url: str, name: str, namespace: str) -> None:
    """Run until SIGTERM."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    connection = await connect(Credentials(url), name)
    names = Names(namespace, "default")
    plans = await PlanBucket(connection, names.bucket("PLANS")).read()
    assert plans is not None
    consents = ConsentBucket(connection, names.bucket("CONSENT"))
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
    asyncio.run(serve(*sys.argv[1:]))
