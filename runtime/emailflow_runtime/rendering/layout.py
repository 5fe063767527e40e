"""Putting a mail's markup together: the body into its layout, a document around it, the preheader.

Works on sources, with Jinja2's tags in them, before anything is compiled.
"""

import html
import re

from emailflow_runtime.rendering.errors import TemplateSyntaxError
from emailflow_runtime.rendering.tags import TAG, keyword, map_literals

_CONTENT = re.compile(r"\{%[-+]?\s*block\s+content\b")
_HTML = re.compile(r"<html\b", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype\b", re.IGNORECASE)
_BODY = re.compile(r"<body\b(?:\"[^\"]*\"|'[^']*'|[^'\">])*>", re.IGNORECASE)

_HIDDEN = (
    "display:none;font-size:1px;color:#ffffff;line-height:1px;max-height:0;max-width:0;opacity:0;"
    "overflow:hidden;mso-hide:all"
)
_PLAIN_STYLE = """
body { margin: 0; padding: 24px; font: 16px/1.5 Helvetica, Arial, sans-serif; color: #222222; }
.mail { max-width: 600px; margin: 0 auto; }
img { max-width: 100%; border: 0; }
table { border-collapse: collapse; }
th, td { padding: 4px 12px 4px 0; text-align: left; vertical-align: top; }
pre, code { font-family: Menlo, Consolas, monospace; }
blockquote { margin: 0; padding-left: 12px; border-left: 3px solid #cccccc; }
"""


def within_layout(body: str, layout: str) -> str:
    """The layout with its `{% block content %}`, the whole block, replaced by the body.

    Raises TemplateSyntaxError for a layout that has no such block, or never ends it.
    """
    start = depth = 0
    opened = False
    for tag in TAG.finditer(layout):
        if not opened:
            if _CONTENT.match(tag[0]):
                opened, start, depth = True, tag.start(), 1
            continue
        depth += {"block": 1, "endblock": -1}.get(keyword(tag[0]), 0)
        if depth == 0:
            return layout[:start] + body + layout[tag.end() :]
    raise TemplateSyntaxError("layout: expected a `{% block content %}` with its `{% endblock %}`")


def as_document(markup: str, *, subject: str, locale: str, plain: bool) -> str:
    """The markup as a whole HTML document. One that already is one gets at most its doctype.

    `plain`: nobody has styled this markup, so it gets a readable column. The title is the subject's
    source, since screen readers announce it.
    """
    if _HTML.search(markup):
        return markup if _DOCTYPE.match(markup) else f"<!doctype html>\n{markup}"
    language = f' lang="{html.escape(locale)}"' if locale else ""
    style = f"<style>{_PLAIN_STYLE}</style>\n" if plain else ""
    body = f'<div class="mail">\n{markup}\n</div>' if plain else markup
    return (
        f'<!doctype html>\n<html{language}>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(subject)}</title>\n{style}</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def escaped(source: str) -> str:
    """A plain-text source as a source for HTML: what the author wrote is escaped, tags stay tags."""
    return map_literals(source, lambda text: html.escape(text, quote=False))


def with_preheader(document: str, preheader: str) -> str:
    """The document with the preheader as the first, hidden, thing of its body.

    It comes before an `mj-preview` of the body's own, so it is the one that inboxes show.
    """
    hidden = f'<div style="{_HIDDEN}">{preheader}</div>'
    body = _BODY.search(document)
    at = body.end() if body else 0
    return document[:at] + hidden + document[at:]
