"""The renderers that the contract is held against."""

from contextlib import asynccontextmanager

import pytest

from emailflow_runtime.adapters.render_worker.pool import RenderPool
from emailflow_runtime.rendering.compiled import render


class InProcessRenderer:
    """A `Renderer` for tests: renders at once, in this process, without any limit on time or memory."""

    async def render(self, request):
        return render(request.template, request.locale, request.context)


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
