"""REPORTS on a real server: a report is written over the one that its writer knows, and over no other."""

import asyncio
import re

import pytest
from tests.integration.jetstream.test_epoch import holding

from emailflow_api.jetstream.naming import Names
from emailflow_api.reports import FlowReport
from emailflow_runtime.adapters.jetstream import connection as connections
from emailflow_runtime.adapters.jetstream.connection import checked
from emailflow_runtime.adapters.jetstream.report_bucket import ReportBucket
from emailflow_runtime.errors import Unavailable


def said(count, **more):
    return {f"shop_f{number}": FlowReport(plan="p", revision="r", **more) for number in range(count)}


@pytest.fixture
async def reports(connection, names: Names) -> ReportBucket:
    made = ReportBucket(connection, names)
    await made.read(0)
    return made


@pytest.mark.parametrize("count", [1, 2, 9, 300, 1001])
async def test_an_owner_writes_over_what_it_has_written(reports, count):
    for pending in (1, 2, 3):
        await reports.write(0, said(count, pending=pending))
    await reports.write(0, dict.fromkeys(said(count)))
    await reports.write(0, said(count, pending=4))

    assert await reports.read(0) == said(count, pending=4)
    await reports.write(0, said(count, pending=5))


async def test_an_owner_writes_over_what_it_has_read_of_its_shard(connection, names, reports):
    await reports.write(0, said(3))
    await reports.write(1, said(3))
    await reports.write(0, {"shop_f1": None})
    following = ReportBucket(connection, names)
    await following.read(0)

    await following.write(0, said(3, epoch=2))

    with pytest.raises(Unavailable):
        await following.write(1, said(3, epoch=2))


@pytest.mark.parametrize("count", [1, 3])
async def test_a_report_of_an_owner_before_takes_nothing_back(connection, other, names, reports, count):
    await reports.write(0, said(count, journeys={"r": 1}, epoch=1))
    following = ReportBucket(other, names)
    await following.read(0)
    await following.write(0, said(count, journeys={"r": 1}, epoch=2))

    with pytest.raises(Unavailable):
        await reports.write(0, said(count, epoch=1))

    assert await following.read(0) == said(count, journeys={"r": 1}, epoch=2)


@pytest.mark.parametrize("count", [1, 3])
async def test_a_report_that_comes_late_takes_nothing_back(
    connection, other, names, reports, monkeypatch, count
):
    await reports.write(0, said(count, journeys={"r": 1}))
    monkeypatch.setattr(connections, "TIMEOUT", 0.5)
    with holding(connection) as held:
        writing = asyncio.create_task(reports.write(0, said(count)))
        await held.some.wait()
    with pytest.raises(Unavailable):
        await writing
    await reports.read(0)
    await reports.write(0, said(count, journeys={"r": 2}))

    await other.wire.send(b"".join(held.frames))
    # What comes after it on the same way is stored after it.
    [(subject, _)] = {re.search(rb"(\S+)\.flow\.0\.\S+ (\S+)", held.frames[0]).groups()}
    checked(await other.request(f"{subject.decode()}.after", b""))

    assert await reports.read(0) == said(count, journeys={"r": 2})
