"""The HTTP server of every port: uvicorn around an ASGI application, with a bound on all of a client.

What is served is the applications' matter; nothing here knows a path.
"""

from emailflow_runtime.adapters.http_server.limits import ServerLimits
from emailflow_runtime.adapters.http_server.server import HttpServer, PortInUse

__all__ = ["HttpServer", "PortInUse", "ServerLimits"]
