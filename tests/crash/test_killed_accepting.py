"""Killed at a door, or while it publishes: every mail once, or the recorded `unknown`."""

import pytest
from tests.crash.crashing import crash
from tests.crash.house import House
from tests.crash.points import COUNTS, Accepting


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("point", Accepting, ids=lambda point: point.name)
async def test_what_was_accepted_has_its_mail_once(house: House, point: Accepting, count: int) -> None:
    await crash(house, point.value, count)
