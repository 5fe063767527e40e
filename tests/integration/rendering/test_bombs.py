"""Templates that want too much: each fails with its reason, and its neighbours don't notice."""

import asyncio
import os

import pytest

from emailflow_runtime.errors import RenderError

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = 1 %}{% endfor %}{% endfor %}"
HUGE = "{% for a in range(9999) %}{% for b in range(99) %}xxxxxxxxxx{% endfor %}{% endfor %}"
BOMBS = {
    "a long string": ("{{ 'a' * 50000000 }}", {"TemplateMemory", "TemplateTooLarge", "TemplateTimeout"}),
    "a longer string": ("{{ 'a' * 10 ** 12 }}", {"TemplateMemory"}),
    "a doubled list": (
        "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        {"TemplateMemory", "TemplateTimeout"},
    ),
    "a padded string": ("{{ 'a'.ljust(10 ** 12) }}", {"TemplateMemory"}),
    "a number with too many digits": ("{{ 9 ** 200000 }}", {"RenderFailed"}),
    "a number that takes for ever": ("{{ 9 ** (9 ** 9) }}", {"TemplateTimeout"}),
    "loops in loops": (ENDLESS, {"TemplateTimeout"}),
    "endless output": (
        ENDLESS.replace("{% set x = 1 %}", "xxxxxxxxxx"),
        {"TemplateTimeout", "TemplateMemory"},
    ),
    "huge output": (HUGE, {"TemplateTooLarge", "TemplateTimeout"}),
    "macros without end": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {"RenderFailed"}),
    "nesting without end": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", {"RenderFailed"}),
}


@pytest.mark.parametrize(("body", "reasons"), BOMBS.values(), ids=BOMBS)
async def test_a_bomb_has_its_reason_and_its_neighbours_their_mails(make_pool, request_for, body, reasons):
    pool = await make_pool()
    bomb = asyncio.create_task(pool.render(request_for(body, name="bomb")))
    neighbours = [asyncio.create_task(pool.render(request_for("<p>{{ n }}</p>", n=n))) for n in range(50)]
    assert [mail.text for mail in await asyncio.gather(*neighbours)] == [str(n) for n in range(50)]
    with pytest.raises(RenderError) as raised:
        await bomb
    assert raised.value.reason in reasons


async def test_neighbours_do_not_wait_for_a_bomb(make_pool, request_for):
    pool = await make_pool(deadline=30.0)
    bomb = asyncio.create_task(pool.render(request_for(ENDLESS)))
    mails = await asyncio.gather(*(pool.render(request_for("<p>{{ n }}</p>", n=n)) for n in range(100)))
    assert len(mails) == 100
    assert not bomb.done()
    bomb.cancel()


async def test_several_bombs_at_once_hold_nobody_up(make_pool, request_for):
    pool = await make_pool(deadline=30.0)
    bombs = [asyncio.create_task(pool.render(request_for(ENDLESS, name=f"bomb-{n}"))) for n in range(3)]
    assert (await pool.render(request_for("<p>fine</p>"))).text == "fine"
    assert not any(bomb.done() for bomb in bombs)
    for bomb in bombs:
        bomb.cancel()


async def test_a_template_that_was_stopped_is_rendered_apart_and_may_recover(make_pool, request_for):
    pool = await make_pool(deadline=0.3)
    body = "{% if slow %}" + ENDLESS + "{% endif %}<p>done</p>"
    with pytest.raises(RenderError, match=r"took longer than 0\.3 s"):
        await pool.render(request_for(body, slow=True))
    assert (await pool.render(request_for(body, slow=False))).text == "done"


async def test_after_three_breaches_in_a_row_a_template_is_not_tried_any_more(make_pool, request_for):
    pool = await make_pool(deadline=0.2)
    for _ in range(3):
        with pytest.raises(RenderError, match="took longer"):
            await pool.render(request_for(ENDLESS))
    with pytest.raises(RenderError, match="not tried") as raised:
        await pool.render(request_for(ENDLESS))
    assert raised.value.reason == "TemplateTimeout"
    assert (await pool.render(request_for("<p>fine</p>"))).text == "fine"


async def test_no_process_is_left_of_those_that_were_killed(make_pool, request_for):
    pool = await make_pool(deadline=0.2)
    before = set(pool.pids)
    with pytest.raises(RenderError):
        await pool.render(request_for(ENDLESS))
    await pool.close()
    for pid in before:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
