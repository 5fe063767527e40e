"""What every implementation of the port `Inbox` promises: the fake of these tests, and the one on disk."""

import asyncio

import pytest

from emailflow_api.plans import Address
from emailflow_runtime.errors import Unavailable


def subjects(page) -> list[str]:
    return [message.subject for message in page.messages]


async def test_lists_the_newest_mail_first(any_inbox, any_post) -> None:
    for subject in ("first", "second", "third"):
        await any_post.put(subject=subject)

    assert subjects(any_inbox.messages()) == ["third", "second", "first"]
    assert subjects(any_inbox.messages(start=1, limit=1)) == ["second"]
    assert any_inbox.messages(limit=0).total == 3


async def test_a_summary_names_everybody_and_what_the_mail_is_about(any_inbox, any_post) -> None:
    mail = await any_post.put(
        subject="Grüße 🎉",
        sender="Émile Zola <emile@example.fr>",
        to="Ana <ana@example.com>, bo@example.com",
        recipients=["ana@example.com", "BO@example.com", "audit@example.com"],
        Cc='"Lovelace, Ada" <ada@example.com>',
        Reply_To="care@example.com",
        Message_ID="<m1@mail.example.com>",
    )

    (summary,) = any_inbox.messages().messages
    assert summary.id == mail
    assert summary.subject == "Grüße 🎉"
    assert summary.sender == Address(address="emile@example.fr", name="Émile Zola")
    assert [to.address for to in summary.to] == ["ana@example.com", "bo@example.com"]
    assert summary.cc == (Address(address="ada@example.com", name="Lovelace, Ada"),)
    assert summary.reply_to == (Address(address="care@example.com"),)
    assert summary.bcc == (Address(address="audit@example.com"),)
    assert summary.message_id == "m1@mail.example.com"
    assert summary.snippet == "Hello there"
    assert not summary.read


async def test_opens_a_mail_by_id_and_the_latest(any_inbox, any_post) -> None:
    first = await any_post.put(subject="first", text="one", html="<p>one</p>")
    await any_post.put(subject="second")

    opened = any_inbox.message(first)
    assert opened is not None
    assert (opened.text, opened.html) == ("one\n", "<p>one</p>\n")
    assert opened.return_path == "bounces@example.com"
    assert ("Subject", "first") in opened.headers
    assert opened.source.startswith(b"From: ")
    assert any_inbox.message("latest").summary.subject == "second"
    assert any_inbox.message("no such id") is None
    assert any_inbox.message("99") is None


async def test_an_empty_inbox_has_no_latest_mail(any_inbox) -> None:
    assert any_inbox.message("latest") is None
    assert any_inbox.messages().messages == ()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Invoice", "Your cart"]),
        ("CART", ["Your cart"]),
        ("to:ana", ["Your cart"]),
        ("to:zoë", ["Invoice"]),
        ("from:billing subject:invoice", ["Invoice"]),
        ("from:billing subject:cart", []),
        ('"coffee and milk"', ["Your cart"]),
        ('"milk and coffee"', []),
        ("milk coffee", ["Your cart"]),
        ("subject:coffee", []),
        ("100%", []),
        ("' OR 1=1 --", []),
    ],
)
async def test_finds_mails_by_words_and_places(any_inbox, any_post, query: str, found: list[str]) -> None:
    await any_post.put(subject="Your cart", text="coffee and milk", to="Ana <ana@example.com>")
    await any_post.put(
        subject="Invoice",
        sender="billing@example.com",
        to="Zoë <z@example.com>",
        recipients=["z@example.com"],
    )

    page = any_inbox.messages(query=query)
    assert subjects(page) == found
    assert (page.matching, page.total) == (len(found), 2)


async def test_counts_what_is_unread(any_inbox, any_post) -> None:
    first, second = await any_post.put(subject="a"), await any_post.put(subject="b")

    any_inbox.mark_read([first, "unknown"])
    assert any_inbox.messages().unread == 1
    assert any_inbox.messages(query="a subject:a").matching_unread == 0
    any_inbox.mark_read(None)
    assert any_inbox.messages().unread == 0
    any_inbox.mark_read([second], read=False)
    assert [message.read for message in any_inbox.messages().messages] == [False, True]


async def test_deletes_some_or_all(any_inbox, any_post) -> None:
    first = await any_post.put(subject="first")
    await any_post.put(subject="second")

    any_inbox.delete([first, "unknown"])
    assert subjects(any_inbox.messages()) == ["second"]
    assert any_inbox.message(first) is None
    any_inbox.delete(None)
    assert any_inbox.messages().total == 0
    assert await any_post.put() not in (first, "2"), "an id is never given twice"


async def test_waiting_ends_with_the_next_mail(any_inbox, any_post) -> None:
    before = any_inbox.position
    waiting = asyncio.ensure_future(any_inbox.wait_for_change(before))
    await asyncio.sleep(0)
    assert not waiting.done()

    await any_post.put()
    assert await waiting == any_inbox.position != before
    assert await any_inbox.wait_for_change(before) == any_inbox.position, "what has changed is told at once"


async def test_reading_and_deleting_are_changes_and_doing_them_again_is_none(any_inbox, any_post) -> None:
    mail = await any_post.put()
    positions = [any_inbox.position]
    for change in (any_inbox.mark_read, any_inbox.mark_read, any_inbox.delete, any_inbox.delete):
        change([mail])
        positions.append(any_inbox.position)

    added, read, read_again, deleted, deleted_again = positions
    assert added != read == read_again != deleted == deleted_again


async def test_closing_releases_who_waits(any_inbox) -> None:
    waiting = asyncio.ensure_future(any_inbox.wait_for_change(any_inbox.position))
    await asyncio.sleep(0)
    await any_inbox.close()
    with pytest.raises(Unavailable):
        await waiting
