"""The renderers that the contract is held against."""

from contextlib import asynccontextmanager

import pytest

from emailflow_runtime.adapters.in_memory.renderer import InProcessRenderer
from emailflow_runtime.adapters.render_worker.pool import RenderPool


@asynccontextmanager
async def in_process():
    yield InProcessRenderer()


@asynccontextmanager
async def worker_pool():
    pool = RenderPool()
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture(params=[in_process, worker_pool], ids=["in process", "worker pool"])
async def renderer(request):
    async with request.param() as made:
        yield made
