"""Processes for the crash tests. The laptop's tests lend `dev`; the rest is started once for each file.

`CRASH_REPLICAS=3` runs everything on a cluster of three nats-servers.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
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
    """One nats-server, or as many as are asked for."""
    with serving(tmp_path_factory, int(os.environ.get("CRASH_REPLICAS", "1"))) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Three nats-servers."""
    with serving(tmp_path_factory, 3) as made:
        yield made


@contextmanager
def serving(folders: pytest.TempPathFactory, count: int) -> Iterator[Servers]:
    made = Servers(folders.mktemp("nats"), count)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
async def replicated(
    cluster: Servers, sink: SinkProcess, runner: Runner, tmp_path: Path
) -> AsyncIterator[House]:
    """A house on three servers."""
    async with opened(cluster, sink, runner, tmp_path) as made:
        yield made


@pytest.fixture
async def house(servers: Servers, sink: SinkProcess, runner: Runner, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(servers, sink, runner, tmp_path) as made:
        yield made
