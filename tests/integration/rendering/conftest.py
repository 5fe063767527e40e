"""Worker pools, and templates by their bodies."""

import pytest

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.adapters.render_worker.pool import RenderPool
from emailflow_runtime.app.ports import RenderRequest


@pytest.fixture
async def make_pool():
    pools = []

    async def make(**settings):
        pools.append(RenderPool(**settings))
        await pools[-1].start()
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


@pytest.fixture
def request_for():
    def make(body, *, name="welcome", **context):
        template = TemplatePlan(namespace="shop", name=name, subject="Hi", format="html", body=body)
        return RenderRequest(template, "en", context)

    return make
