"""Templates rendered with their `sample`: what lint finds by it, and the context that a sample stands for.

Rendering happens in the worker that mails are rendered in, under the same limits.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emailflow_api.errors import Finding, Severity

if TYPE_CHECKING:
    from emailflow_api.compile import Compilation
    from emailflow_api.plans import TemplatePlan


def sample_context(sample: dict[str, Any]) -> dict[str, Any]:
    """A whole context out of a template's `sample`, which may leave out what it doesn't use."""
    event = {"id": "sample", "source": "/sample", "type": "sample", "specversion": "1.0", "data": {}}
    contact: dict[str, Any] = {"id": "", "email": "ana@example.com", "name": "", "locale": "", "timezone": ""}
    contact.update(traits={}, topics={}, scores={}, history={})
    event.update(sample.get("event", {}))
    contact.update(sample.get("contact", {}))
    links = {name: f"https://example.com/{name}" for name in ("unsubscribe", "preferences", "view")}
    journey = {"id": "sample", "flow": "sample", "step": "sample", "variant": ""}
    made = {"event": event, "trigger": {**event, **sample.get("trigger", {})}, "contact": contact}
    return {**made, "journey": journey, "now": sample.get("now", "2026-01-01T12:00:00Z"), "links": links}


def render_samples(compilation: "Compilation") -> list[Finding]:
    """What goes wrong when each template that has a `sample` is rendered with it, in all its languages."""
    templates = compilation.plans.templates
    wanted = [(templates[name], sample) for name, sample in compilation.samples.items() if name in templates]
    return asyncio.run(_render_all(wanted)) if wanted else []


async def _render_all(wanted: "Sequence[tuple[TemplatePlan, dict[str, Any]]]") -> list[Finding]:
    from emailflow_runtime.adapters.render_worker.pool import RenderPool
    from emailflow_runtime.app.ports import RenderRequest
    from emailflow_runtime.errors import EmailFlowError

    found: list[Finding] = []
    pool = RenderPool(workers=1, deadline=5.0)
    await pool.start()
    try:
        for template, sample in wanted:
            for locale in dict.fromkeys(["", *(each.locale for each in template.locales)]):
                try:
                    await pool.render(RenderRequest(template, locale or "und", sample_context(sample)))
                except EmailFlowError as error:
                    subject = f"EmailTemplate/{template.namespace}/{template.name}"
                    where = f"with its sample, in {locale}: " if locale else "with its sample: "
                    found.append(
                        Finding(Severity.ERROR, error.reason, subject, "spec.sample", where + str(error))
                    )
                    break
    finally:
        await pool.close()
    return found
