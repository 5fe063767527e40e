"""Why a template has no result: one class a reason, and the translation from what Jinja2 raises.

Messages name the template and its field. They are for authors, so they speak of names and lines and
leave out the values of a context, which may be personal.
"""

import re

import jinja2
import jinja2.nodes
from jinja2.exceptions import SecurityError

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


def explained(error: Exception, *, field: str, tree: jinja2.nodes.Template | None = None) -> RenderError:
    """What `error`, raised while reading or rendering `field`, means for the author of the template.

    `tree` is the parsed source: it turns the name that is undefined into the whole path that was written.
    """
    match error:
        case RenderError():
            return error
        case SecurityError():
            return TemplateForbidden(f"{field}: {error}")
        case jinja2.UndefinedError():
            return UndefinedVariable(f"{field}: {_with_path(str(error), tree)}")
        case jinja2.TemplateSyntaxError():
            return TemplateSyntaxError(f"{field}: line {error.lineno}: {error.message}")
        case MemoryError():
            return TemplateMemory(f"{field}: wants more memory than a mail may have")
        case RecursionError():
            return RenderError(f"{field}: nests too deeply")
    return RenderError(f"{field}: {type(error).__name__}: {str(error)[:200]}")


_UNDEFINED = re.compile(r"'(\w+)' is undefined")


def _with_path(message: str, tree: jinja2.nodes.Template | None) -> str:
    """`'nme' is undefined` as `event.data.nme is undefined`, where the source leaves no doubt."""
    match = _UNDEFINED.fullmatch(message)
    if match is None or tree is None:
        return message
    written = {_dotted(node) for node in tree.find_all(jinja2.nodes.Getattr) if node.attr == match[1]}
    written |= {node.name for node in tree.find_all(jinja2.nodes.Name) if node.name == match[1]}
    return f"{written.pop() if len(written) == 1 else match[1]!r} is undefined"


def _dotted(node: jinja2.nodes.Node) -> str:
    match node:
        case jinja2.nodes.Getattr():
            return f"{_dotted(node.node)}.{node.attr}"
        case jinja2.nodes.Name():
            return node.name
    return "…"
