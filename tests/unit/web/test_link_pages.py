"""A link does what it was signed for, and nothing else; the one to unsubscribe does it for ever."""

import re
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from emailflow_api.plans import Plans, RuntimePlan
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.mail_links import MailLinks
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.consent import read_consent
from emailflow_runtime.core.links import DAY, DAYS, Keyring, Link
from emailflow_runtime.web.link_pages import link_routes

from .conftest import Browser

KEYRING = Keyring({"k1": b"k" * 32})
MADE = 20_000
LINK = Link("unsubscribe", "ab" * 16, "offers", "m1", "cd" * 16, MADE)


class Log:
    """What was appended."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    async def append(self, entries: Any) -> None:
        self.entries += entries


class Clock:
    day = MADE

    def now(self) -> int:
        return self.day * DAY


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def browser(log: Log, clock: Clock) -> Browser:
    """No policy, flow or template is known here."""
    catalog = Catalog(Plans(RuntimePlan("mail", "default")))
    links = MailLinks(KEYRING, catalog, log, clock)  # type: ignore[arg-type]
    return Browser(Starlette(routes=link_routes(links)))


def path(**changes: Any) -> str:
    return f"/l/{KEYRING.sign(replace(LINK, **changes))}"


async def test_unsubscribing_needs_nothing_but_the_link(browser: Browser, log: Log) -> None:
    assert (await browser.get(path())).status == 200
    assert log.entries == []
    assert (await browser.ask("POST", path())).status == 200
    (entry,) = log.entries
    said = read_consent(entry.event)
    assert said is not None
    assert (said.address, said.topic, said.subscribed) == (LINK.address, "offers", False)


@pytest.mark.parametrize("purpose", ["view", "preferences", "confirm", "Unsubscribe", ""])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "GET"])
async def test_a_link_for_something_else_unsubscribes_nobody(
    browser: Browser, log: Log, purpose: str, method: str
) -> None:
    answer = await browser.ask(method, path(purpose=purpose))
    assert log.entries == []
    if method == "POST":
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_preference_page_leads_to_the_link_that_unsubscribes(browser: Browser, log: Log) -> None:
    page = await browser.get(path(purpose="preferences"))
    assert page.status == 200
    (target,) = re.findall(r'action="([^"]+)"', page.text)
    assert (await browser.ask("POST", f"/l/{target}")).status == 200
    assert len(log.entries) == 1


@pytest.mark.parametrize(("purpose", "days"), DAYS.items())
async def test_links_end_by_their_purpose(
    browser: Browser, log: Log, clock: Clock, purpose: str, days: int | None
) -> None:
    fresh = (await browser.get(path(purpose=purpose))).status
    clock.day = MADE + (days or 36_500)
    assert (await browser.get(path(purpose=purpose))).status == fresh
    clock.day += 1
    assert (await browser.get(path(purpose=purpose))).status == (410 if days else fresh)
    assert (await browser.ask("POST", path(purpose=purpose))).status == (410 if days else 200)
    assert len(log.entries) == (0 if days else 1)


async def test_mails_from_before_links_had_a_day_keep_theirs(browser: Browser) -> None:
    assert (await browser.ask("POST", path(day=0))).status == 200
    assert (await browser.get(path(purpose="preferences", day=0))).status == 200


async def test_a_link_with_another_day_is_not_ours(browser: Browser) -> None:
    token = path(purpose="view")
    assert (await browser.get(token[:-2] + "AA")).status == 400
