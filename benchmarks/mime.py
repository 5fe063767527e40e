"""Writing a usual mail (2 KB of text, 10 KB of HTML): our writer beside the standard library's.

Run: `python benchmarks/mime.py`. Prints microseconds of CPU a mail, the best of five rounds, and the ratio.
"""

import timeit
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP

from emailflow_api.plans import Address
from emailflow_runtime.rendering.mime import Mail, date_text, delivery_headers, message_id, write

TEXT = "Hello Ana, welcome to the shop. Here are three things to try.\n" * 33
HTML = '<td style="padding:0 12px;font-family:Arial,sans-serif">Schöne Grüße, Ana — willkommen</td>\n' * 106
MAIL = Mail(
    id="m1",
    sender=Address("hello@example.com", "Example"),
    to=(Address("ana@example.com", "Ana Müller"),),
    reply_to=(Address("help@example.com"),),
    subject="Willkommen, schöne Ana",
    date=date_text(0),
    message_id=message_id("m1", "example.com"),
    text=TEXT,
    html=HTML,
    headers=delivery_headers(
        unsubscribe_url="https://mail.example.com/u/" + "t" * 80,
        feedback_id="onboarding:welcome:shop:example",
    ),
)


def standard_library() -> bytes:
    """The same mail by `email.message.EmailMessage`."""
    message = EmailMessage(policy=SMTP)
    message["From"] = "Example <hello@example.com>"
    message["To"] = "Ana Müller <ana@example.com>"
    message["Reply-To"] = "help@example.com"
    message["Subject"] = MAIL.subject
    message["Date"] = MAIL.date
    message["Message-ID"] = MAIL.message_id
    for name, value in MAIL.headers:
        message[name] = value
    message.set_content(TEXT, cte="quoted-printable")
    message.add_alternative(HTML, subtype="html", cte="base64")
    return message.as_bytes()


def microseconds(function: Callable[[], object]) -> float:
    """CPU a call, the best of five rounds."""
    return min(timeit.repeat(function, number=500, repeat=5)) / 500 * 1e6


def main() -> None:
    """Measure both and print."""
    ours, theirs = microseconds(lambda: write(MAIL)), microseconds(standard_library)
    print(f"ours {ours:.0f} us, EmailMessage {theirs:.0f} us, ratio {theirs / ours:.0f}")


if __name__ == "__main__":
    main()
