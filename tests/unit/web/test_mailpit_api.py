"""The JSON has Mailpit's shapes, so that tests written for Mailpit read mails here."""

import pytest

COMMON_KEYS = {
    "ID",
    "MessageID",
    "From",
    "To",
    "Cc",
    "Bcc",
    "ReplyTo",
    "Subject",
    "Tags",
    "Size",
    "Attachments",
}
SUMMARY_KEYS = COMMON_KEYS | {"Read", "Created", "Snippet"}
MESSAGE_KEYS = COMMON_KEYS | {"ReturnPath", "Date", "Text", "HTML", "Inline"}


async def test_lists_messages_newest_first(browser, post) -> None:
    await post.put(subject="first")
    newest = await post.put(subject="second", Message_ID="<m2@example.com>", recipients=["audit@example.com"])

    page = (await browser.get("/api/v1/messages")).json
    assert set(page) == {
        "total", "unread", "count", "messages_count", "messages_unread", "start", "tags", "messages",
    }  # fmt: skip
    assert (page["total"], page["unread"], page["count"], page["start"], page["tags"]) == (2, 2, 2, 0, [])
    message = page["messages"][0]
    assert set(message) == SUMMARY_KEYS
    assert message["ID"] == newest
    assert message["MessageID"] == "m2@example.com"
    assert message["From"] == {"Name": "Shop", "Address": "shop@example.com"}
    assert message["To"] == [{"Name": "Ana", "Address": "ana@example.com"}]
    assert message["Bcc"] == [{"Name": "", "Address": "audit@example.com"}]
    assert (message["Cc"], message["ReplyTo"], message["Tags"]) == ([], [], [])
    assert message["Created"] == "2026-11-24T12:00:01.000Z"
    assert (message["Read"], message["Attachments"], message["Snippet"]) == (False, 0, "Hello there")


async def test_pages_by_start_and_limit(browser, post) -> None:
    for number in range(5):
        await post.put(subject=str(number))

    page = (await browser.get("/api/v1/messages?start=1&limit=2")).json
    assert [message["Subject"] for message in page["messages"]] == ["3", "2"]
    assert (page["total"], page["count"], page["messages_count"], page["start"]) == (5, 2, 5, 1)


@pytest.mark.parametrize("query", ["limit=-1", "limit=many", "start=1.5", "start=99999999999999999999"])
async def test_refuses_what_is_no_count(browser, query: str) -> None:
    answer = await browser.get(f"/api/v1/messages?{query}")
    assert answer.status == 400
    assert query.split("=", maxsplit=1)[0] in answer.json["Error"]


async def test_searches(browser, post) -> None:
    await post.put(subject="Your cart")
    await post.put(subject="Invoice", to="Bo <bo@example.com>", recipients=["bo@example.com"])

    page = (await browser.get("/api/v1/search?query=to%3Aana+subject%3Acart")).json
    assert [message["Subject"] for message in page["messages"]] == ["Your cart"]
    assert (page["total"], page["messages_count"], page["messages_unread"]) == (2, 1, 1)
    assert (await browser.get("/api/v1/search")).status == 400


async def test_gives_a_whole_message_and_counts_it_as_read(browser, post, inbox) -> None:
    mail = await post.put(
        subject="Hi", text="one\n", html="<p>one</p>", Date="Tue, 24 Nov 2026 08:15:30 +0100"
    )

    message = (await browser.get(f"/api/v1/message/{mail}")).json
    assert set(message) == MESSAGE_KEYS
    assert (message["Text"], message["HTML"]) == ("one\n", "<p>one</p>\n")
    assert message["ReturnPath"] == "bounces@example.com"
    assert message["Date"] == "2026-11-24T07:15:30.000Z"
    assert (message["Inline"], message["Attachments"]) == ([], [])
    assert inbox.messages().unread == 0


async def test_latest_is_the_newest_message(browser, post) -> None:
    await post.put(subject="first")
    await post.put(subject="second")

    assert (await browser.get("/api/v1/message/latest")).json["Subject"] == "second"


async def test_an_unknown_message_is_not_found(browser) -> None:
    for path in ("/api/v1/message/9", "/api/v1/message/latest", "/api/v1/message/9/headers", "/view/9.html"):
        answer = await browser.get(path)
        assert (answer.status, answer.json) == (404, {"Error": "no such message"})


async def test_headers_keep_repeated_fields_in_order(browser, post) -> None:
    mail = await post.put_raw(b"Received: a\r\nX-Tag: =?utf-8?q?=C3=A9?=\r\nreceived: b\r\n\r\nx")

    assert (await browser.get(f"/api/v1/message/{mail}/headers")).json == {
        "Received": ["a", "b"],
        "X-Tag": ["é"],
    }


async def test_gives_the_source_as_it_came(browser, post) -> None:
    mail = await post.put_raw(b"Subject: x\r\n\r\n\xff\r\n")

    answer = await browser.get(f"/api/v1/message/{mail}/raw")
    assert answer.body == b"Subject: x\r\n\r\n\xff\r\n"
    assert answer.headers["content-type"].startswith("text/plain")


async def test_marks_and_deletes_the_messages_named(browser, post, inbox) -> None:
    first, second = await post.put(subject="a"), await post.put(subject="b")

    assert (await browser.ask("PUT", "/api/v1/messages", {"IDs": [first], "Read": True})).text == "ok"
    assert [message.read for message in inbox.messages().messages] == [False, True]
    assert (await browser.ask("DELETE", "/api/v1/messages", {"IDs": [first]})).text == "ok"
    assert [message.id for message in inbox.messages().messages] == [second]


async def test_without_ids_a_change_means_all(browser, post, inbox) -> None:
    await post.put()
    await post.put()

    await browser.ask("PUT", "/api/v1/messages", {"Read": True})
    assert inbox.messages().unread == 0
    await browser.ask("DELETE", "/api/v1/messages")
    assert inbox.messages().total == 0


@pytest.mark.parametrize("body", [["1"], {"IDs": "1"}, {"IDs": [1]}])
async def test_a_body_that_says_something_else_changes_nothing(browser, post, inbox, body: object) -> None:
    await post.put()

    answer = await browser.ask("DELETE", "/api/v1/messages", body)
    assert answer.status == 400
    assert inbox.messages().total == 1


async def test_info_counts(browser, post) -> None:
    await post.put()

    info = (await browser.get("/api/v1/info")).json
    assert (info["Messages"], info["Unread"]) == (1, 1)
    assert info["Version"]
