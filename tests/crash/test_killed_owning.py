"""Killed while it takes a shard, or hands it over: every mail once, or the recorded `unknown`."""

import pytest
from tests.crash.crashing import crash
from tests.crash.house import House
from tests.crash.points import COUNTS, Owning


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("point", Owning, ids=lambda point: point.name)
async def test_what_was_accepted_has_its_mail_once(house: House, point: Owning, count: int) -> None:
    await crash(house, point.value, count)
