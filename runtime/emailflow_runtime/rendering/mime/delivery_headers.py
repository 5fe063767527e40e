"""The header fields that every mail of EmailFlow carries, and those that a template may not set.

What unsubscribing does, and who may be mailed, is decided elsewhere.
"""

import re
from collections.abc import Mapping

from emailflow_api.reserved_headers import is_reserved
from emailflow_runtime.rendering.mime.fields import InvalidHeader, check_name

_URL = re.compile(r"https?://[!-;=?-~]+")


def delivery_headers(
    *, unsubscribe_url: str = "", feedback_id: str = "", own: Mapping[str, str] | None = None
) -> tuple[tuple[str, str], ...]:
    """Header fields for `Mail.headers`, a template's `own` ones last.

    `Auto-Submitted` keeps autoresponders silent (RFC 3834 section 5). With an unsubscribe URL come
    `List-Unsubscribe` and `List-Unsubscribe-Post`, one-click (RFC 8058 section 3.1). `feedback_id` is up to
    four fields with colons between them, the sender's last. Raises InvalidHeader naming the field.
    """
    fields = [("Auto-Submitted", "auto-generated")]
    if unsubscribe_url:
        if not _URL.fullmatch(unsubscribe_url):
            raise InvalidHeader("List-Unsubscribe: expected an http or https URL in ASCII")
        fields.append(("List-Unsubscribe", f"<{unsubscribe_url}>"))
        fields.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    if feedback_id:
        fields.append(("Feedback-ID", feedback_id))
    for name, value in (own or {}).items():
        check_name(name)
        if is_reserved(name):
            raise InvalidHeader(f"{name}: is reserved, expected another header")
        fields.append((name, value))
    return tuple(fields)
