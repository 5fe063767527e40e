"""What rendering gives back, and how large it may be.

The port `Renderer` of `app` speaks of the same type. Nothing here may know how a mail is rendered.
"""

import msgspec

MAX_SUBJECT = 998
"""Characters. A longer one could not stand on one line of a message (RFC 5322, 2.1.1)."""

MAX_HTML = 2_000_000
"""Characters. Twenty times what Gmail shows before it clips a message."""

MAX_TEXT = 1_000_000
"""Characters."""


class Rendered(msgspec.Struct, frozen=True):
    """A rendered mail: the subject is one line, `html` has its CSS inlined, `text` is never empty."""

    subject: str
    html: str
    text: str
    locale: str
    """The locale of the body that was chosen; empty: the template's own."""
    headers: dict[str, str] = {}
    """The template's own header fields, each one line."""
