"""The HTTP door: CloudEvents come in as `POST /events`, an answer says what became of them.

It speaks raw ASGI, decodes with the codec and hands events to the Ingest port; it keeps nothing itself.
What it promises to senders is written down in docs/reference/http.md.
"""

from emailflow_runtime.adapters.http_door.door import HttpDoor, Limits
from emailflow_runtime.adapters.http_door.tokens import Anonymous, FileTokens, TokenVerifier

__all__ = ["Anonymous", "FileTokens", "HttpDoor", "Limits", "TokenVerifier"]
