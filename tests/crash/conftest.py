"""Processes for the crash tests. The laptop's tests lend `dev`; the rest is started once for each file."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.crash.house import House, opened
from tests.crash.processes import Runner, Servers, SinkProcess
from tests.integration.laptop.conftest import dev

__all__ = ["dev"]


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SinkProcess]:
    made = SinkProcess(tmp_path_factory.mktemp("sink") / "sink")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    made = Runner(tmp_path_factory.mktemp("runner"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One nats-server."""
    made = Servers(tmp_path_factory.mktemp("nats"), 1)
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def house(servers: Servers, sink: SinkProcess, runner: Runner, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(servers, sink, runner, tmp_path) as made:
        yield made
