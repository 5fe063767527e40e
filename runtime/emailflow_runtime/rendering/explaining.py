"""From what Jinja2 raises to what it means for the author of a template.

Pure; it names fields, lines and names, never a value of the context.
"""

import re

import jinja2
import jinja2.nodes
from jinja2.exceptions import SecurityError

from emailflow_runtime.errors import RenderError
from emailflow_runtime.rendering.errors import (
    TemplateForbidden,
    TemplateMemory,
    TemplateSyntaxError,
    UndefinedVariable,
)


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
