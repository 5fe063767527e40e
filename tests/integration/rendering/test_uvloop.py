"""The pool on uvloop, which is what the runtime runs on."""

import asyncio

import pytest
import uvloop

from emailflow_runtime.adapters.render_worker.pool import RenderPool
from emailflow_runtime.errors import RenderError

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def test_mails_bombs_and_closing_work_on_uvloop(request_for):
    async def scenario():
        pool = RenderPool(deadline=0.3)
        await pool.start()
        bomb = asyncio.create_task(pool.render(request_for(ENDLESS)))
        mails = await asyncio.gather(*(pool.render(request_for("<p>{{ n }}</p>", n=n)) for n in range(100)))
        with pytest.raises(RenderError) as raised:
            await bomb
        await pool.close()
        return [mail.text for mail in mails], raised.value.reason

    assert uvloop.run(scenario()) == ([str(n) for n in range(100)], "TemplateTimeout")
