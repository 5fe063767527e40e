"""Rendering at once, in this process, without any limit on time or memory."""

from emailflow_api.plans import content_hash
from emailflow_runtime.app.ports import RenderRequest
from emailflow_runtime.rendering.compiled import CompiledTemplate
from emailflow_runtime.rendering.rendered import Rendered


class InProcessRenderer:
    """The port Renderer, for templates that are known to end. Each is compiled once."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], CompiledTemplate] = {}

    async def render(self, request: RenderRequest) -> Rendered:
        """See Renderer."""
        name = (content_hash(request.template), request.locale)
        if name not in self._compiled:
            self._compiled[name] = CompiledTemplate(request.template, request.locale)
        return self._compiled[name].render(request.context, request.locale)
