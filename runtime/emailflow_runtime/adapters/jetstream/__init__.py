"""JetStream behind the ports of `app.stores`: the log, state under its epoch, feeds, plans, dead letters.

The only package of the runtime that knows NATS. It carries out; what happens is decided elsewhere.
Importing it leaves out what the client library would take along for websockets: 10 MB and a quarter of a
second that no runtime has a use for.
"""

import sys

_unused = "aiohttp" not in sys.modules
if _unused:
    sys.modules["aiohttp"] = None  # type: ignore[assignment]  # makes the import below fail, as documented
import nats.aio.transport  # noqa: E402, F401

if _unused:
    del sys.modules["aiohttp"]
