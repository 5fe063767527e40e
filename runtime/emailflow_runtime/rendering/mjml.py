"""MJML to HTML, without Node and without files: includes are refused, nothing is fetched."""

import re

import mjml

from emailflow_runtime.rendering.errors import TemplateForbidden, TemplateSyntaxError
from emailflow_runtime.rendering.stylesheets import inlined_rules

_INCLUDE = re.compile(r"<mj-include\b", re.IGNORECASE)
_INLINE_STYLE = re.compile(
    r"<mj-style\b[^>]*\binline\s*=\s*[\"']inline[\"'][^>]*>(.*?)</mj-style\s*>", re.DOTALL
)


def to_html(source: str) -> str:
    """The HTML document of an MJML source, `mj-style inline="inline"` inlined.

    Raises TemplateSyntaxError (MJML or CSS that can't be read) or TemplateForbidden (`mj-include`).
    """
    if _INCLUDE.search(source):
        raise TemplateForbidden("body: `mj-include` is not available; use `layoutRef`")
    rules = "\n".join(_INLINE_STYLE.findall(source))
    try:
        html: str = mjml.mjml2html(_INLINE_STYLE.sub("", source))
    except ValueError as error:
        raise TemplateSyntaxError(f"body: MJML: {error}") from error
    return inlined_rules(html, rules) if rules.strip() else html
