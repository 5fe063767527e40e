"""CSS into style attributes, since many mail clients read nothing else. Never fetches anything.

Style elements stay as well: media queries and `:hover` only work from there.
"""

import css_inline

from emailflow_runtime.rendering.errors import TemplateSyntaxError

_OWN_STYLES = css_inline.CSSInliner(keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False)


def inlined(html: str) -> str:
    """The document with the rules of its style elements inlined. Raises TemplateSyntaxError."""
    return _inlined(_OWN_STYLES, html)


def inlined_rules(html: str, rules: str) -> str:
    """The document with these rules inlined, and none of its own. Raises TemplateSyntaxError."""
    inliner = css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        keep_link_tags=True,
        load_remote_stylesheets=False,
        extra_css=rules,
    )
    return _inlined(inliner, html)


def _inlined(inliner: css_inline.CSSInliner, html: str) -> str:
    try:
        return inliner.inline(html)
    except css_inline.InlineError as error:
        raise TemplateSyntaxError(f"body: CSS: {error}") from error
