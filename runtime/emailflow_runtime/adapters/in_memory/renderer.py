"""Rendering at once, in this process, without any limit on time or memory."""

from emailflow_runtime.app.ports import RenderRequest
from emailflow_runtime.rendering.compiled import render
from emailflow_runtime.rendering.rendered import Rendered


class InProcessRenderer:
    """The port Renderer, for templates that are known to end."""

    async def render(self, request: RenderRequest) -> Rendered:
        """See Renderer."""
        return render(request.template, request.locale, request.context)
