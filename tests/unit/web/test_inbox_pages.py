"""The pages show what is there, as text, and keep themselves fresh."""

import asyncio
from pathlib import Path

import pytest

from emailflow_runtime.web import inbox_app as inbox_app_module

from_whom = '"<b>Eve</b>" <eve@example.com>'


async def test_the_home_page_leads_to_the_inbox(browser) -> None:
    answer = await browser.get("/")
    assert (answer.status, answer.headers["location"]) == (302, "/inbox")


async def test_an_empty_inbox_says_so(browser) -> None:
    assert "No mail yet" in (await browser.get("/inbox")).text


async def test_the_list_shows_everything_of_a_mail_as_text(browser, post) -> None:
    await post.put(subject="<img src=x onerror=alert(1)>", sender=from_whom, text="<script>alert(2)</script>")

    page = (await browser.get("/inbox")).text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "&lt;b&gt;Eve&lt;/b&gt;" in page
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page
    assert "<img src=x" not in page


async def test_a_search_shows_what_matches_and_repeats_the_query_as_text(browser, post) -> None:
    await post.put(subject="Your cart")
    await post.put(subject="Invoice")

    page = (await browser.get("/inbox?q=cart")).text
    assert "Your cart" in page
    assert "Invoice" not in page
    assert "1 of 2 mails match" in page
    assert "Nothing matches" in (await browser.get("/inbox?q=nothing")).text
    assert 'value="&#34;&gt;&lt;script&gt;"' in (await browser.get("/inbox?q=%22%3E%3Cscript%3E")).text


async def test_older_mails_are_on_further_pages(browser, post) -> None:
    for number in range(51):
        await post.put(subject=f"mail {number}.")

    first, second = (
        (await browser.get("/inbox?q=mail")).text,
        (await browser.get("/inbox?q=mail&page=2")).text,
    )
    assert "mail 50." in first
    assert "mail 0." not in first
    assert "mail 0." in second
    assert 'href="/inbox?q=mail&amp;page=2"' in first
    assert 'href="/inbox?q=mail&amp;page=1"' in second


async def test_opening_a_mail_marks_it_read(browser, post, inbox) -> None:
    mail = await post.put(subject="Hi", recipients=["ana@example.com", "audit@example.com"])

    page = (await browser.get(f"/inbox/{mail}")).text
    assert "<h1>Hi</h1>" in page
    assert "audit@example.com" in page, "who got a blind copy is shown"
    assert inbox.messages().unread == 0


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        ("text", "plain words"),
        ("html", '<iframe class="paper" sandbox=""'),
        ("headers", "<dd>bounces@example.com</dd>"),
        ("source", "Content-Type: multipart/alternative"),
        ("links", 'href="https://shop.example/?a=1&amp;b=2"'),
        ("nonsense", "<iframe"),
    ],
)
async def test_a_mail_has_views(browser, post, view: str, shown: str) -> None:
    mail = await post.put(text="plain words", html='<a href="https://shop.example/?a=1&amp;b=2">shop</a>')

    assert shown in (await browser.get(f"/inbox/{mail}?view={view}")).text


async def test_attachments_can_be_downloaded_from_the_page(browser, post) -> None:
    mail = await post.put_raw(
        b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="a<b.pdf"\r\n\r\nx'
    )

    page = (await browser.get(f"/inbox/{mail}?view=attachments")).text
    assert f'href="/api/v1/message/{mail}/part/1"' in page
    assert "a&lt;b.pdf" in page


async def test_buttons_work_without_a_script(browser, post, inbox) -> None:
    first = await post.put()
    await post.put()

    assert (await browser.ask("POST", f"/inbox/{first}/delete")).headers["location"] == "/inbox"
    assert inbox.messages().total == 1
    await browser.ask("POST", "/inbox/read")
    assert inbox.messages().unread == 0
    await browser.ask("POST", "/inbox/delete")
    assert inbox.messages().total == 0
    assert (await browser.get("/inbox/delete")).status == 404, "looking at a page changes nothing"


async def test_a_mail_that_is_gone_gets_a_page_that_says_so(browser) -> None:
    answer = await browser.get("/inbox/99")
    assert answer.status == 404
    assert "here any more" in answer.text


def test_pages_refer_to_nothing_outside() -> None:
    here = Path(inbox_app_module.__file__).parent
    files = [*here.glob("templates/*.html"), *here.glob("static/*")]
    assert len(files) >= 7
    for file in files:
        outside = file.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "http://" not in outside
        assert "https://" not in outside


async def test_the_list_hears_of_new_mail_and_the_stream_ends_with_the_inbox(
    browser, post, inbox, stream
) -> None:
    before = inbox.position
    events = stream(f"/inbox/changes?after={before}")
    assert await events.next() == "retry: 1000\n\n"

    await post.put()
    assert await events.next() == f"id: {inbox.position}\ndata: {inbox.position}\n\n"
    await inbox.close()
    await asyncio.wait_for(events.ended, 5)


async def test_a_page_that_comes_back_hears_at_once_what_it_missed(post, inbox, stream) -> None:
    await post.put()
    events = stream("/inbox/changes?after=999", last_event_id="0")
    await events.next()
    assert await events.next() == f"id: {inbox.position}\ndata: {inbox.position}\n\n"
