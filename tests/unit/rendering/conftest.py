"""Templates and contexts, as short as a test wants them."""

import pytest

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.rendering.compiled import CompiledTemplate

CONTEXT = {
    "contact": {"name": "Ana", "timezone": "Europe/Berlin", "traits": {"plan": "pro"}},
    "event": {
        "type": "com.example.order.placed",
        "time": "2026-03-01T10:00:00Z",
        "data": {
            "total": 1234.5,
            "items": [{"name": "Tea & cake", "qty": 2}, {"name": "Kännchen", "qty": 1}],
            "url": "https://shop.example/?a=1&b=2",
        },
    },
    "links": {"unsubscribe": "https://mail.example/u/1?t=x&s=y"},
}


@pytest.fixture
def context():
    return CONTEXT


@pytest.fixture
def render():
    """Renders one template, given by the fields that matter to the test."""

    def render(body="", *, subject="Hello", locale="en", context=CONTEXT, **fields):
        plan = TemplatePlan(
            namespace="shop", name="welcome", subject=subject, body=body, **{"format": "html", **fields}
        )
        return CompiledTemplate(plan, locale).render(context, locale)

    return render


@pytest.fixture
def text(render):
    """What an expression renders to in a mail's text."""
    return lambda source, **more: render("<p>-</p>", text=source, **more).text
