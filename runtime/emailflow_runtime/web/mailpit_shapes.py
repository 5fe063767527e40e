"""Messages as JSON values in the shapes of Mailpit's API v1, which testing tools already read.

Pure translation. Lists are never null here, where Mailpit has null for some empty ones.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from emailflow_api.plans import Address
from emailflow_runtime.app.ports import CaughtMessage, InboxPage, MessagePart, OpenedMessage


def page(listed: InboxPage, start: int) -> dict[str, Any]:
    """MessagesSummary: `total` and `unread` of the inbox, `messages_count` of the query, `count` listed."""
    return {
        "total": listed.total,
        "unread": listed.unread,
        "count": len(listed.messages),
        "messages_count": listed.matching,
        "messages_unread": listed.matching_unread,
        "start": start,
        "tags": [],
        "messages": [summary(message) for message in listed.messages],
    }


def summary(message: CaughtMessage) -> dict[str, Any]:
    """MessageSummary."""
    return {
        **_common(message),
        "Read": message.read,
        "Created": rfc3339(message.received),
        "Attachments": message.attachments,
        "Snippet": message.snippet,
    }


def whole(message: OpenedMessage) -> dict[str, Any]:
    """Message."""
    return {
        **_common(message.summary),
        "ReturnPath": message.return_path,
        "Date": rfc3339(message.date),
        "Text": message.text,
        "HTML": message.html,
        "Inline": [_part(part) for part in message.parts if part.inline],
        "Attachments": [_part(part) for part in message.parts if not part.inline],
    }


def headers(message: OpenedMessage) -> dict[str, list[str]]:
    """Each field's values in order; fields of one name in another case are one field (RFC 5322 2.2)."""
    values: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for name, value in message.headers:
        values.setdefault(names.setdefault(name.lower(), name), []).append(value)
    return values


def rfc3339(nanoseconds: int) -> str:
    """A moment in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(nanoseconds / 1_000_000_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _common(message: CaughtMessage) -> dict[str, Any]:
    return {
        "ID": message.id,
        "MessageID": message.message_id,
        "From": _address(message.sender),
        "To": _addresses(message.to),
        "Cc": _addresses(message.cc),
        "Bcc": _addresses(message.bcc),
        "ReplyTo": _addresses(message.reply_to),
        "Subject": message.subject,
        "Tags": [],
        "Size": message.size,
    }


def _addresses(addresses: Sequence[Address]) -> list[dict[str, str]]:
    return [_address(address) for address in addresses]


def _address(address: Address) -> dict[str, str]:
    return {"Name": address.name, "Address": address.address}


def _part(part: MessagePart) -> dict[str, Any]:
    return {
        "PartID": part.id,
        "FileName": part.file_name,
        "ContentType": part.content_type,
        "ContentID": part.content_id,
        "Size": len(part.content),
    }
