"""Secrets and ConfigMaps hold the bytes that the API server would hold."""

import pytest

from emailflow_api.reading import InvalidValue, decoded_data, read_documents

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: keys}
data:
  user: YW5h
  password: b2xk
  wrapped: |
    YW5h
    YW5h
  empty: ""
  nothing:
stringData: {password: "nëw"}
"""

CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data: {body.html: "<p>é</p>", no-base64: YW5h}
binaryData: {logo.png: iVBORw==}
"""


def held(text: str) -> dict[str, bytes]:
    [document] = read_documents(text, "held.yaml")
    return decoded_data(document.value)


def test_a_secret_is_decoded_and_string_data_wins() -> None:
    assert held(SECRET) == {
        "user": b"ana",
        "password": "nëw".encode(),
        "wrapped": b"anaana",
        "empty": b"",
        "nothing": b"",
    }


def test_a_config_map_holds_text_and_bytes() -> None:
    assert held(CONFIG_MAP) == {
        "body.html": "<p>é</p>".encode(),
        "no-base64": b"YW5h",
        "logo.png": b"\x89PNG",
    }


@pytest.mark.parametrize(
    "value",
    [
        {"apiVersion": "example.com/v1", "kind": "Secret", "data": {"a": "YW5h"}},
        {"apiVersion": "v1", "kind": "Service", "data": {"a": "YW5h"}},
        {"apiVersion": "v1", "kind": "Secret"},
    ],
)
def test_what_holds_nothing_gives_nothing(value: dict[str, object]) -> None:
    assert decoded_data(value) == {}


@pytest.mark.parametrize(
    ("kind", "member", "content", "message"),
    [
        ("Secret", "data", {"key": "hunter2!"}, "data.key: is not base64"),
        ("Secret", "data", {"key": "YW5hYQ"}, "data.key: is not base64"),
        ("Secret", "data", {"key": "YQ==YQ=="}, "data.key: is not base64"),
        ("Secret", "data", {"key": "é"}, "data.key: is not base64"),
        ("Secret", "stringData", {"port": 587}, "stringData.port: is not a string (quote it)"),
        ("ConfigMap", "data", {"on": True}, "data.on: is not a string (quote it)"),
        ("ConfigMap", "binaryData", ["YW5h"], "binaryData: is not an object"),
    ],
)
def test_what_the_api_server_refuses_is_refused(
    kind: str, member: str, content: object, message: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        decoded_data({"apiVersion": "v1", "kind": kind, member: content})
    assert (str(caught.value), caught.value.path) == (message, message.partition(":")[0])
