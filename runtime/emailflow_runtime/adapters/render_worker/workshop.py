"""The worker's work: orders in, replies out. Knows no process, so that it can be tested without one."""

import functools
from collections.abc import Iterator

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.adapters.render_worker.frames import Order, Orders, Reply, decoded_context
from emailflow_runtime.errors import RenderError
from emailflow_runtime.rendering.compiled import CompiledTemplate
from emailflow_runtime.rendering.locales import matching

_COMPILED = 256
"""Compiled templates that are kept; one takes some 100 KB."""


class Workshop:
    """Keeps templates, and compiles each once for all readers who get the same fields of it."""

    def __init__(self) -> None:
        self._templates: dict[str, TemplatePlan] = {}
        self._compiled = functools.lru_cache(maxsize=_COMPILED)(self._compile)

    def _compile(self, name: str, locales: tuple[str, ...]) -> CompiledTemplate | RenderError:
        """A template that can't be compiled is remembered too, or each of its mails would try again."""
        try:
            return CompiledTemplate(self._templates[name], locales[0] if locales else "")
        except RenderError as error:
            return error

    def replies(self, orders: Orders) -> Iterator[Reply]:
        """One reply an order, as soon as each is there."""
        if orders.forget:
            self._templates.clear()
            self._compiled.cache_clear()
        self._templates.update(orders.templates)
        return map(self._reply, orders.orders)

    def _reply(self, order: Order) -> Reply:
        try:
            template = self._compiled(order.template, matching(self._templates[order.template], order.locale))
            if isinstance(template, RenderError):
                return Reply(order.id, None, template.reason, str(template))
            rendered = template.render(decoded_context(order.context), order.locale)
        except RenderError as error:
            return Reply(order.id, None, error.reason, str(error))
        except MemoryError:
            return Reply(order.id, None, "TemplateMemory", "wants more memory than a mail may have")
        return Reply(order.id, rendered)
