"""Who may send: bearer tokens from a file."""

import logging

import pytest

from emailflow_runtime.adapters.http_door import FileTokens, HttpDoor
from emailflow_runtime.adapters.http_door.errors import Forbidden
from emailflow_runtime.adapters.http_door.tokens import InvalidTokenFile

TOKEN = "mF_9.B5f-4.1JqM=="


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# who sends\n\nshop:{TOKEN}\nplain-token\n")
    return path


@pytest.fixture
def guarded(client_of, ingest, token_file):
    return client_of(HttpDoor(ingest, tokens=FileTokens(token_file)))


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"bearer {TOKEN}", "Bearer plain-token"])
async def test_a_token_of_the_file_lets_in(guarded, event_headers, value):
    assert (await guarded.post(b"", event_headers | {"authorization": value})).status == 202


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer shop",
        f"Bearer shop:{TOKEN}",
        "Bearer \xff",
        "Bearer #",
    ],
)
async def test_anything_else_does_not(guarded, ingest, event_headers, value):
    reply = await guarded.post(b"", event_headers | {"authorization": value})
    assert (reply.status, reply.json["reason"]) == (401, "Unauthorized")
    assert reply.headers["www-authenticate"] == 'Bearer realm="emailflow"'
    assert ingest.accepted == []


@pytest.mark.parametrize("given", [{}, {"authorization": f"Bearer {TOKEN}"}])
async def test_without_anything_to_verify_by_nobody_is_let_in(client_of, ingest, event_headers, given):
    reply = await client_of(HttpDoor(ingest)).post(b"", event_headers | given)
    assert (reply.status, reply.json["reason"]) == (401, "ReceiverClosed")
    assert reply.headers["www-authenticate"] == 'Bearer realm="emailflow"'
    assert ingest.accepted == []


async def test_who_is_not_let_in_is_not_read(guarded, event_headers):
    async def receive():
        raise AssertionError("the body was read")

    assert (await guarded.request("POST", headers=event_headers, receive=receive)).status == 401


async def test_a_new_file_counts_at_once(guarded, token_file, event_headers):
    token_file.write_text("another-token\n")
    assert (await guarded.post(b"", event_headers | {"authorization": f"Bearer {TOKEN}"})).status == 401
    assert (await guarded.post(b"", event_headers | {"authorization": "Bearer another-token"})).status == 202


@pytest.mark.parametrize("damage", ["unlink", "line", "bytes"])
async def test_while_the_file_is_unreadable_nobody_is_let_in_or_sent_away(
    guarded, token_file, event_headers, damage, caplog
):
    caplog.set_level(logging.DEBUG)
    if damage == "unlink":
        token_file.unlink()
    else:
        token_file.write_bytes(b"not a token: s3cret\n" if damage == "line" else b"\xff\xfe\n")
    reply = await guarded.post(b"", event_headers | {"authorization": f"Bearer {TOKEN}"})
    assert (reply.status, reply.json["reason"]) == (503, "Unavailable")
    assert reply.headers["retry-after"] == "5"
    assert str(token_file) not in reply.body.decode()
    assert str(token_file) in caplog.text
    assert "s3cret" not in caplog.text
    assert TOKEN not in caplog.text


def test_a_bad_file_is_told_at_the_start(tmp_path):
    with pytest.raises(InvalidTokenFile, match="FileNotFoundError"):
        FileTokens(tmp_path / "nowhere")
    (tmp_path / "tokens").write_text("good\nbad token\n")
    with pytest.raises(InvalidTokenFile, match="line 2: expected a token, or name:token"):
        FileTokens(tmp_path / "tokens")


async def test_tokens_are_not_kept_as_they_are(token_file):
    tokens = FileTokens(token_file)
    assert TOKEN not in repr(vars(tokens))


async def test_a_known_sender_may_be_forbidden(client_of, ingest, event_headers):
    class NamespaceNotAllowed:
        async def verify(self, token):
            raise Forbidden("namespace shop may not use this runtime")

    client = client_of(HttpDoor(ingest, tokens=NamespaceNotAllowed()))
    reply = await client.post(b"", event_headers | {"authorization": "Bearer x"})
    assert (reply.status, reply.json["reason"]) == (403, "Forbidden")


@pytest.mark.parametrize("query", [b"access_token=mF_9", b"a=b&access%5Ftoken=", b"access_token"])
async def test_a_token_in_the_url_is_refused(guarded, client, event_headers, query):
    headers = event_headers | {"authorization": f"Bearer {TOKEN}"}
    for door in (guarded, client):
        reply = await door.request("POST", headers=headers, query=query)
        assert (reply.status, reply.json["reason"]) == (400, "TokenInQuery")
        assert b"mF_9" not in reply.body


async def test_other_queries_are_nobodys_business(client, event_headers):
    for query in (b"a=access_token", b"\xff&%ff=%"):
        assert (await client.request("POST", headers=event_headers, query=query)).status == 202
