"""From what Jinja2 raises to what it means for the author of a template.

Pure; it names fields, lines of the source and names in the source, never a value of the context.
"""

import re
from collections.abc import Iterator

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
from emailflow_runtime.rendering.filters import InvalidArgument


def explained(error: Exception, *, field: str, tree: jinja2.nodes.Template | None = None) -> RenderError:
    """What `error`, raised while reading or rendering `field`, means for the author of the template.

    `tree` is the parsed source. A name is repeated only as the source has it: at run time a name may come
    from a value (`prices[event.data.email]`), and the message goes into facts and dead letters.
    """
    match error:
        case RenderError():
            return error
        case SecurityError():
            return TemplateForbidden(f"{field}: {_refused(str(error), tree)}")
        case jinja2.UndefinedError():
            return UndefinedVariable(f"{field}: {_undefined(str(error), tree)}")
        case jinja2.TemplateSyntaxError():
            return TemplateSyntaxError(f"{field}: line {error.lineno}: {error.message}")
        case InvalidArgument():
            return RenderError(f"{field}: {error}")
        case MemoryError():
            return TemplateMemory(f"{field}: wants more memory than a mail may have")
        case RecursionError():
            return RenderError(f"{field}: nests too deeply")
    return RenderError(f"{field}: {type(error).__name__}")


_SUFFIX = " is undefined"


def _undefined(message: str, tree: jinja2.nodes.Template | None) -> str:
    """Jinja2's `'nme' is undefined` as `'event.data.nme' is undefined`, where the source leaves no doubt."""
    if tree is None or not message.endswith(_SUFFIX):
        return "a name or an element is undefined"
    name = message.removesuffix(_SUFFIX)
    named = {written for literal, written in _names(tree) if repr(literal) == name}
    if not named:
        named = {_written(node) for node in tree.find_all(jinja2.nodes.Getitem) if _is_computed(node)}
        return f"{_only(named) or 'a name that a value gives'}{_SUFFIX}"
    return f"{_only(named) or name}{_SUFFIX}"


def _only(written: set[str]) -> str:
    return repr(next(iter(written))) if len(written) == 1 else ""


def _names(tree: jinja2.nodes.Template) -> Iterator[tuple[object, str]]:
    """Every name and constant key in the source, with the path that it stands in."""
    for node in tree.find_all((jinja2.nodes.Getattr, jinja2.nodes.Getitem, jinja2.nodes.Name)):
        match node:
            case jinja2.nodes.Getattr():
                yield node.attr, _written(node)
            case jinja2.nodes.Getitem(arg=jinja2.nodes.Const() as key):
                yield key.value, _written(node)
            case jinja2.nodes.Name():
                yield node.name, node.name


def _is_computed(node: jinja2.nodes.Getitem) -> bool:
    return not isinstance(node.arg, jinja2.nodes.Const | jinja2.nodes.Slice)


def _written(node: jinja2.nodes.Node) -> str:
    match node:
        case jinja2.nodes.Getattr():
            return f"{_written(node.node)}.{node.attr}"
        case jinja2.nodes.Getitem(arg=jinja2.nodes.Const(value=str() as key)) if key.isidentifier():
            return f"{_written(node.node)}.{key}"
        case jinja2.nodes.Getitem():
            return f"{_written(node.node)}[{_written(node.arg)}]"
        case jinja2.nodes.Name():
            return node.name
        case jinja2.nodes.Const():
            return repr(node.value)
    return "…"


_ATTRIBUTE = re.compile(r"access to attribute '(\w+)' of '\w+' object is unsafe\.")


def _refused(message: str, tree: jinja2.nodes.Template | None) -> str:
    """The sandbox's refusal, with the attribute where the source names it."""
    if tree is None:
        return message
    named = {literal for literal, _ in _names(tree)}
    found = _ATTRIBUTE.fullmatch(message)
    return message if found and found[1] in named else "the sandbox does not allow this access or call"
