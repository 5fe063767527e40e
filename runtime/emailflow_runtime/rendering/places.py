"""Where the tags of a template stand in its markup, and whether the markup can be worked on around them.

Compiling MJML and inlining CSS once per template is right only while no tag changes what those two
look at: a class, a width, how many columns a section has. `protected` answers None then, and the
template is rendered by Jinja2 first, mail by mail. When in doubt it answers None.
"""

import re
from html.parser import HTMLParser

from emailflow_runtime.rendering.tags import OPENER, Marked, keyword

# fmt: off
VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
})
# fmt: on
"""The elements without an end tag (HTML Living Standard, 13.1.2)."""

_TEXT_ONLY = frozenset({"title", "textarea", "script", "mj-title", "mj-preview"})
_CSS = frozenset({"style", "mj-style"})
# fmt: off
_HTML_WITHIN_MJML = frozenset({
    "mj-text", "mj-button", "mj-table", "mj-raw", "mj-social-element", "mj-navbar-link",
    "mj-accordion-title", "mj-accordion-text",
})
# fmt: on
_REPEATABLE_CHILDREN = frozenset({"mj-body", "mj-wrapper", "mj-column"})
"""What becomes of a child of these does not depend on how many siblings it has."""

_SELECTED_BY = frozenset({"class", "id", "style", "css-class", "mj-class"})
_PASSED_ON = frozenset({"href", "src", "alt", "title", "name", "rel", "target"})
"""The attributes of MJML elements that appear in the HTML as they are."""

_BY_POSITION = re.compile(r":(?:nth-|first-|last-|only-|empty|has\b)|[+~]")


class _Unprotectable(Exception):
    """A tag stands where the markup can't be worked on around it."""


class _Places(HTMLParser):
    """Walks through marked markup; collects which marks must become comments, and which raw MJML."""

    def __init__(self, source: Marked) -> None:
        super().__init__()
        self._source = source
        self._open: list[str] = []
        self._css: list[str] = []
        self._keywords = {keyword(tag) for tag in source.tags}
        self._enclosing: list[list[str]] = []
        self.seen: set[int] = set()
        self.comments: set[int] = set()
        self.raw: set[int] = set()
        self.feed(source.text)
        self.close()
        if self._enclosing:
            raise _Unprotectable

    @property
    def styled_by_position(self) -> bool:
        return _BY_POSITION.search("".join(self._css)) is not None

    def _found(self, text: str | None) -> list[int]:
        found = self._source.found(text or "")
        self.seen.update(found)
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_attributes(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_attributes(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def _check_attributes(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._found(tag):
            raise _Unprotectable
        for name, value in attrs:
            if self._found(name):
                raise _Unprotectable
            if self._found(value) and (
                name in _SELECTED_BY or (tag.startswith("mj-") and name not in _PASSED_ON)
            ):
                raise _Unprotectable

    def handle_data(self, data: str) -> None:
        parent = self._open[-1] if self._open else ""
        if parent in _CSS:
            self._css.append(data)
        found = self._found(data)
        for index in found:
            self._check_enclosure(keyword(self._source.tags[index]))
        if not found or parent in _TEXT_ONLY:
            return
        if parent in _CSS:
            raise _Unprotectable
        if parent.startswith("mj") and parent not in _HTML_WITHIN_MJML:
            self._check_structure(parent, found)
            self.raw.update(found)
        self.comments.update(found)

    def _check_enclosure(self, word: str) -> None:
        """A statement must enclose whole elements, or an HTML parser would close them elsewhere."""
        if f"end{word}" in self._keywords:
            self._enclosing.append(self._open.copy())
        elif word in ("else", "elif") or word.startswith("end"):
            if not self._enclosing or self._enclosing[-1] != self._open:
                raise _Unprotectable
            if word.startswith("end"):
                self._enclosing.pop()

    def _check_structure(self, parent: str, found: list[int]) -> None:
        if parent not in _REPEATABLE_CHILDREN or any(map(self._source.is_output, found)):
            raise _Unprotectable

    def handle_comment(self, data: str) -> None:
        self._found(data)


def protected(source: Marked, *, mjml: bool) -> str | None:
    """The markup with every mark in a shape that survives; None when Jinja2 has to run first."""
    keywords = {keyword(tag) for tag in source.tags}
    if (
        "raw" in keywords
        or OPENER.search(source.text)
        or (mjml and source.found(source.text.partition("<mjml")[0]))
    ):
        return None
    try:
        places = _Places(source)
    except _Unprotectable:
        return None
    if places.seen != set(range(len(source.tags))) or (places.styled_by_position and any(keywords)):
        return None

    def shaped(match: re.Match[str]) -> str:
        index = int(match[1])
        word = f"<!--{match[0]}-->" if index in places.comments else match[0]
        return f"<mj-raw>{word}</mj-raw>" if index in places.raw else word

    return re.sub(source.pattern, shaped, source.text)


def around_rows(source: Marked, html: str) -> str:
    """The HTML with statements that enclose a table's rows inside its body.

    An HTML parser opens the `tbody` that an author left out, and does it after the statement's mark.
    """
    if "<tbody" in source.text:
        return html
    return re.sub(rf"((?:<!--{source.pattern}-->\s*)+)(<tbody[^>]*>)", r"\3\1", html)


def survived(source: Marked, compiled: str) -> bool:
    """Whether every output is still there, and every statement exactly once and in its old order."""
    found = source.found(compiled)
    statements = [index for index in found if not source.is_output(index)]
    wanted = [index for index in range(len(source.tags)) if not source.is_output(index)]
    return statements == wanted and len(set(found)) == len(source.tags)
