"""Other sites in the same browser can neither read the inbox nor change it."""

import pytest

from emailflow_runtime.web.inbox_app import inbox_app


@pytest.mark.parametrize(
    "host", ["localhost:8080", "localhost", "mail.localhost", "127.0.0.1:1", "[::1]:8080"]
)
async def test_answers_under_the_names_of_loopback(browser, host: str) -> None:
    assert (await browser.get("/inbox", host=host)).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.168.1.4:8080", "", "[::2]"])
async def test_refuses_foreign_names(browser, host: str) -> None:
    answer = await browser.get("/api/v1/messages", host=host)
    assert answer.status == 400
    assert "messages" not in answer.text


async def test_answers_under_a_name_that_was_configured(browser, inbox) -> None:
    browser.app = inbox_app(inbox, hosts=["mail.example.com"])
    assert (await browser.get("/inbox", host="mail.example.com")).status == 200
    assert (await browser.get("/inbox", host="www.example.com")).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "origin": "http://localhost:8080"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
    ],
)
async def test_another_origin_changes_nothing(browser, post, inbox, headers: dict[str, str]) -> None:
    mail = await post.put()

    for method, path in [
        ("DELETE", "/api/v1/messages"),
        ("PUT", "/api/v1/messages"),
        ("POST", "/inbox/delete"),
        ("POST", "/inbox/read"),
        ("POST", f"/inbox/{mail}/delete"),
    ]:
        assert (await browser.ask(method, path, **headers)).status == 403
    assert (inbox.messages().total, inbox.messages().unread) == (1, 1)


@pytest.mark.parametrize(
    "headers", [{}, {"sec_fetch_site": "same-origin"}, {"origin": "http://localhost:8080"}]
)
async def test_our_own_pages_and_programs_may_change(browser, post, inbox, headers: dict[str, str]) -> None:
    await post.put()

    assert (await browser.ask("DELETE", "/api/v1/messages", **headers)).status == 200
    assert inbox.messages().total == 0


async def test_no_other_site_may_embed_or_read_what_is_served(browser) -> None:
    answer = await browser.get("/api/v1/messages", origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
