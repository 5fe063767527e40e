"""Why a template has no result: one class a reason.

Messages name the template and its field. They are for authors, so they speak of names and lines and
leave out the values of a context, which may be personal. Whoever only starts workers imports this, so it
may not need Jinja2.
"""

from emailflow_runtime.errors import RenderError


class UndefinedVariable(RenderError):
    """The template uses a name that its context does not have."""

    reason = "UndefinedVariable"


class TemplateSyntaxError(RenderError):
    """Jinja2, MJML, CSS or a layout that can't be read."""

    reason = "TemplateSyntaxError"


class TemplateForbidden(RenderError):
    """The template tries what the sandbox does not allow."""

    reason = "TemplateForbidden"


class TemplateTimeout(RenderError):
    """Rendering took longer than a mail may take."""

    reason = "TemplateTimeout"


class TemplateMemory(RenderError):
    """Rendering wanted more memory than a mail may have."""

    reason = "TemplateMemory"


class TemplateTooLarge(RenderError):
    """The rendered mail is larger than a mail may be."""

    reason = "TemplateTooLarge"


class InvalidHeader(RenderError):
    """A value would have put a line break or another control character into a header."""

    reason = "InvalidHeader"


_BY_REASON: dict[str, type[RenderError]] = {
    kind.reason: kind
    for kind in (
        UndefinedVariable,
        TemplateSyntaxError,
        TemplateForbidden,
        TemplateTimeout,
        TemplateMemory,
        TemplateTooLarge,
        InvalidHeader,
    )
}


def error_of(reason: str, message: str) -> RenderError:
    """The error of that reason; a reason that isn't known is a plain RenderError (`RenderFailed`)."""
    return _BY_REASON.get(reason, RenderError)(message)
