"""What the owner of shard 0 says of providers, for their status."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from emailflow_api.plans import Plans, ProviderPlan, RuntimePlan, Smtp, content_hash
from emailflow_api.reports import ProviderReport
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.lanes import Lanes
from emailflow_runtime.app.provider_watch import CHECK_AGAIN, CHECK_EVERY, DOWN_FOR, LOOK_EVERY, ProviderWatch
from emailflow_runtime.core.outcomes import Deferred
from emailflow_runtime.errors import SecretNotFound, Unavailable

RELAY = ProviderPlan(namespace="mail", name="relay", transport=Smtp(host="mail.example.com", port=587))
FAILED = Deferred("AuthFailed", "535 no", 535, systemic=True)


class Server:
    """A provider: what a check finds, and how often one was made."""

    def __init__(self) -> None:
        self.found: Deferred | None = None
        self.secret = True
        self.checks = 0

    def transport(self, _: ProviderPlan) -> "Server":
        if not self.secret:
            raise SecretNotFound("Secret mail/smtp with the key password is not there")
        return self

    def signer(self, _: ProviderPlan) -> None:
        return None

    async def check(self, *, give_up_at: float) -> Deferred | None:
        self.checks += 1
        return self.found


class Bucket:
    """REPORTS: what was written, each time."""

    def __init__(self) -> None:
        self.reports: dict[str, ProviderReport] = {}
        self.writes: list[Mapping[str, ProviderReport | None]] = []
        self.away = False

    async def read_providers(self) -> Mapping[str, ProviderReport]:
        return dict(self.reports)

    async def write_providers(self, reports: Mapping[str, ProviderReport | None]) -> None:
        if self.away:
            raise Unavailable("no answer")
        self.writes.append(dict(reports))
        for name, report in reports.items():
            if report is None:
                self.reports.pop(name, None)
            else:
                self.reports[name] = report


class World:
    """One watch, with everything around it."""

    def __init__(self) -> None:
        self.server, self.bucket, self.lanes = Server(), Bucket(), Lanes()
        self.in_charge = True
        self.catalog = Catalog(plans(RELAY))
        self.watch = ProviderWatch(
            self.catalog,
            self.server,  # type: ignore[arg-type] # a provider that is its own way
            self.lanes,
            self.bucket,
            in_charge=lambda: self.in_charge,
        )

    @property
    def reason(self) -> str:
        return self.bucket.reports["relay"].reason


def plans(*providers: ProviderPlan) -> Plans:
    return Plans(
        runtime=RuntimePlan(namespace="mail", name="default"),
        providers={each.name: each for each in providers},
    )


@asynccontextmanager
async def watching() -> AsyncIterator[World]:
    world = World()
    running = asyncio.create_task(world.watch.run())
    await asyncio.sleep(0.1)
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_provider_that_takes_connections_is_reported_once() -> None:
    async with watching() as world:
        await asyncio.sleep(10 * LOOK_EVERY)
        assert world.bucket.writes == [{"relay": ProviderReport(content_hash(RELAY))}]
        assert world.server.checks == 1


async def test_an_idle_provider_is_looked_at_again() -> None:
    async with watching() as world:
        await asyncio.sleep(CHECK_EVERY + 2 * LOOK_EVERY)
        assert world.server.checks == 2


async def test_a_secret_that_goes_and_comes_back_shows_at_once() -> None:
    async with watching() as world:
        world.server.secret = False
        await asyncio.sleep(LOOK_EVERY + 0.1)
        assert world.reason == "SecretNotFound"
        assert "mail/smtp" in world.bucket.reports["relay"].message
        world.server.secret = True
        await asyncio.sleep(LOOK_EVERY + 0.1)
        assert world.reason == ""


async def test_one_check_that_fails_is_no_trouble() -> None:
    async with watching() as world:
        world.server.found = FAILED
        await asyncio.sleep(CHECK_EVERY + LOOK_EVERY)
        assert world.server.checks == 2
        assert world.reason == ""
        world.server.found = None
        await asyncio.sleep(CHECK_AGAIN + LOOK_EVERY)
        assert [each["relay"] and each["relay"].reason for each in world.bucket.writes] == [""]


async def test_two_checks_that_fail_are_and_one_that_succeeds_ends_it() -> None:
    async with watching() as world:
        world.server.found = FAILED
        await asyncio.sleep(CHECK_EVERY + CHECK_AGAIN + 2 * LOOK_EVERY)
        assert world.reason == "AuthFailed"
        world.server.found = None
        await asyncio.sleep(CHECK_AGAIN + LOOK_EVERY)
        assert world.reason == ""


async def test_a_provider_that_was_never_reached_is_not_called_well() -> None:
    world = World()
    world.server.found = FAILED
    running = asyncio.create_task(world.watch.run())
    await asyncio.sleep(0.1)
    running.cancel()
    assert world.reason == "AuthFailed"


async def test_what_mails_have_found_out_counts_when_it_lasts() -> None:
    async with watching() as world:
        lane = world.lanes.to(RELAY)
        for _ in range(3):
            lane._breaker.note(Deferred("ConnectFailed", systemic=True))
        await asyncio.sleep(LOOK_EVERY + 0.1)
        assert world.reason == ""
        await asyncio.sleep(DOWN_FOR + LOOK_EVERY)
        assert world.reason == "ConnectFailed"


async def test_only_the_owner_of_shard_0_looks() -> None:
    async with watching() as world:
        world.in_charge = False
        world.server.secret = False
        await asyncio.sleep(3 * LOOK_EVERY)
        assert world.reason == ""


async def test_a_provider_that_is_gone_leaves_no_report() -> None:
    async with watching() as world:
        await world.catalog.replace(plans())
        await asyncio.sleep(LOOK_EVERY)
        assert world.bucket.reports == {}


async def test_what_nats_did_not_take_is_written_again() -> None:
    async with watching() as world:
        world.server.secret, world.bucket.away = False, True
        await asyncio.sleep(2 * LOOK_EVERY)
        world.bucket.away = False
        await asyncio.sleep(LOOK_EVERY + 0.1)
        assert world.reason == "SecretNotFound"
