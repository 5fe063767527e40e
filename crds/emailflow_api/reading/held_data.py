"""What a Secret or ConfigMap holds, as bytes, whichever of its members a value stands in.

A value is never part of a message: it may be a password.
"""

import binascii
from collections.abc import Mapping
from typing import Any

from emailflow_api.errors import ApiError


class InvalidValue(ApiError):
    """A value in a Secret or ConfigMap that the API server would refuse. `path` says which."""

    reason = "InvalidValue"


def decoded_data(value: Mapping[str, Any]) -> dict[str, bytes]:
    """The values of a v1 Secret or ConfigMap document by key; nothing for any other kind.

    `stringData` is laid over a Secret's `data`, as the API server does on writing. Raises InvalidValue.
    """
    match value.get("apiVersion"), value.get("kind"):
        case "v1", "Secret":
            return {**_binary(value, "data"), **_texts(value, "stringData")}
        case "v1", "ConfigMap":
            return {**_texts(value, "data"), **_binary(value, "binaryData")}
    return {}


def _texts(value: Mapping[str, Any], member: str) -> dict[str, bytes]:
    return {key: text.encode() for key, text in _strings(value, member).items()}


def _binary(value: Mapping[str, Any], member: str) -> dict[str, bytes]:
    return {key: _decoded(text, f"{member}.{key}") for key, text in _strings(value, member).items()}


def _strings(value: Mapping[str, Any], member: str) -> dict[str, str]:
    held = value.get(member)
    if held is None:
        return {}
    if not isinstance(held, Mapping):
        raise InvalidValue(f"{member}: is not an object", path=member, expected="an object of strings")
    for key, text in held.items():
        if text is not None and not isinstance(text, str):
            path = f"{member}.{key}"
            raise InvalidValue(f"{path}: is not a string (quote it)", path=path, expected="a string")
    return {key: text or "" for key, text in held.items()}


def _decoded(text: str, path: str) -> bytes:
    """Standard base64 with padding; line breaks are passed over, as Go's encoding/base64 does."""
    try:
        return binascii.a2b_base64(text.replace("\r", "").replace("\n", ""), strict_mode=True)
    except ValueError:
        raise InvalidValue(f"{path}: is not base64", path=path, expected="base64") from None
