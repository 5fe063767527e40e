"""Health is about time; here it jumps to the next moment at which something happens."""

from tests.unit.jumping_loop import JumpingLoop


def pytest_asyncio_loop_factories() -> dict[str, object]:
    """Everything here runs on it."""
    return {"jumping": JumpingLoop}
