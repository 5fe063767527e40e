"""Header fields that no template may set: EmailFlow's own, the mail system's, and what mail services obey.

A relay that reads `X-MC-BccAddress` or `X-SMTPAPI` takes recipients from it, so that such a field would go
round who may be mailed; a request for a receipt would report people to an address of the author's choice.
"""

NAMES = frozenset(
    {
        "apparently-to",
        "authentication-results",
        "auto-submitted",
        "bcc",
        "cc",
        "content-disposition",
        "content-id",
        "content-transfer-encoding",
        "content-type",
        "date",
        "delivered-to",
        "disposition-notification-options",
        "disposition-notification-to",
        "dkim-signature",
        "errors-to",
        "feedback-id",
        "from",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "mail-followup-to",
        "mail-reply-to",
        "message-id",
        "mime-version",
        "original-from",
        "original-recipient",
        "received",
        "reply-to",
        "return-path",
        "return-receipt-to",
        "sender",
        "subject",
        "to",
        "x-confirm-reading-to",
        "x-msys-api",
        "x-original-from",
        "x-smtpapi",
    }
)
"""Whole names, in lower case."""
PREFIXES = (
    "arc-",
    "resent-",
    "x-mailgun-",
    "x-mailin-",
    "x-mandrill-",
    "x-mc-",
    "x-mj-",
    "x-ms-exchange-",
    "x-pm-",
    "x-ses-",
    "x-sg-",
    "x-sib-",
)
"""Beginnings of names, in lower case: forwarding, and the mail services' own."""


def is_reserved(name: str) -> bool:
    """Whether no template may set this field."""
    lower = name.lower()
    return lower in NAMES or lower.startswith(PREFIXES)


def pattern() -> str:
    """The same as a regular expression for CEL, to match a whole name."""
    beginnings = "|".join(f"{each}.*" for each in PREFIXES)
    return f"(?i)^({'|'.join(sorted(NAMES))}|{beginnings})$"
