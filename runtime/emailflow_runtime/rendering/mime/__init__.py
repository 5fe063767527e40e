"""The MIME writer: from a mail's parts to RFC 5322 bytes, 7-bit clean, the same for the same input.

It exists because the standard library's writer takes thirty times as long (docs/adr/0006). It may not
invent anything: the date, the Message-ID and the mail's id are given. It only writes, it never parses.
"""

from emailflow_runtime.rendering.mime.addresses import addr_spec
from emailflow_runtime.rendering.mime.bodies import AttachedFile, InvalidBody
from emailflow_runtime.rendering.mime.delivery_headers import delivery_headers
from emailflow_runtime.rendering.mime.fields import InvalidHeader
from emailflow_runtime.rendering.mime.message import Mail, date_text, message_id, write

__all__ = [
    "AttachedFile",
    "InvalidBody",
    "InvalidHeader",
    "Mail",
    "addr_spec",
    "date_text",
    "delivery_headers",
    "message_id",
    "write",
]
