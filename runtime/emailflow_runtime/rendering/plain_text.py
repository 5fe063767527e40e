"""The text part of a mail, from its HTML: what a reader without HTML gets to see.

Works the same on rendered HTML and on HTML with marks in it; the latter gives a text that is a template
itself. Links read `text (url)`, images are their `alt`, what is hidden is left out.
"""

import re
from html.parser import HTMLParser

from emailflow_runtime.rendering.places import VOID
from emailflow_runtime.rendering.tags import Marked

# fmt: off
_LINE = frozenset({
    "address", "article", "aside", "body", "caption", "dd", "div", "dl", "dt", "fieldset", "figure",
    "figcaption", "footer", "form", "header", "html", "legend", "li", "main", "nav", "option",
    "section", "tbody", "tfoot", "thead", "tr",
})
_PARAGRAPH = frozenset({
    "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "table", "ul",
})
_LEFT_OUT = frozenset({
    "audio", "head", "noscript", "script", "select", "style", "svg", "template", "textarea",
    "title", "video",
})
# fmt: on
_DISPLAY_NONE = re.compile(r"(?:^|;)\s*display\s*:\s*none\b", re.IGNORECASE)
_SCHEME = re.compile(r"^(?:https?://|mailto:|tel:)")
_BLANKS_AT_END = re.compile(r"[ \t]+$", re.MULTILINE)
_MANY_LINES = re.compile(r"\n{3,}")


def to_text(html: str, tags: Marked | None = None) -> str:
    """The readable text of an HTML document; marks of `tags` stay where they belong."""
    return _Reader(tags).read(html)


def tidy(text: str) -> str:
    """Without blanks at the ends of lines, and with one empty line at most between paragraphs."""
    return _MANY_LINES.sub("\n\n", _BLANKS_AT_END.sub("", text)).strip("\n")


class _Writer:
    """Text with pending space: breaks are asked for, and written once something follows."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._newlines = 2
        self._wanted = 0
        self._gap = ""
        self._blank = True
        self._holding = False

    @property
    def within_line(self) -> bool:
        return self._newlines == 0 and self._wanted == 0

    def gap(self, blanks: str) -> None:
        self._gap = max(self._gap, blanks, key=len)

    def break_lines(self, count: int) -> None:
        """At least `count` line ends before what comes next, but none right after a list item's mark."""
        if not self._holding:
            self._wanted = max(self._wanted, count)

    def line_end(self) -> None:
        self._wanted = max(self._wanted, self._newlines) + 1

    def settle(self) -> None:
        """Write what is pending."""
        if self._wanted > self._newlines:
            self.parts.append("\n" * (self._wanted - self._newlines))
            self._newlines, self._blank = self._wanted, True
        elif self._gap and not self._blank and not self._wanted:
            self.parts.append(self._gap)
            self._blank = True
        self._wanted, self._gap = 0, ""

    def write(self, text: str) -> None:
        self.settle()
        self.parts.append(text)
        self._newlines, self._blank, self._holding = 0, False, False

    def list_mark(self, text: str) -> None:
        self.write(text)
        self._blank = self._holding = True

    def statement(self, mark: str) -> None:
        """A mark that renders to nothing: it comes after what was pending, and changes nothing."""
        self.settle()
        self.parts.append(mark)


class _List:
    """An open list: `number` of its last item, None when items can't be numbered beforehand."""

    def __init__(self, *, ordered: bool) -> None:
        self.number: int | None = 0 if ordered else None

    def next_mark(self) -> str:
        if self.number is None:
            return "- "
        self.number += 1
        return f"{self.number}. "


class _Reader(HTMLParser):
    """Walks through a document and writes down what there is to read."""

    def __init__(self, tags: Marked | None) -> None:
        super().__init__()
        self._tags = tags
        self._writer = _Writer()
        self._left_out: list[str] = []
        self._links: list[tuple[str, int]] = []
        self._lists: list[_List] = []
        self._layout_tables: list[bool] = []
        self._preformatted = 0

    def read(self, html: str) -> str:
        self.feed(html)
        self.close()
        return "".join(self._writer.parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if self._left_out or tag in _LEFT_OUT or _DISPLAY_NONE.search(attributes.get("style") or ""):
            if tag not in VOID:
                self._left_out.append(tag)
            return
        self._break_around(tag)
        match tag:
            case "br":
                self._writer.line_end()
            case "hr":
                self._writer.write("---")
                self._break_around(tag)
            case "img":
                self._inline(attributes.get("alt") or "")
            case "a":
                self._links.append((attributes.get("href") or "", len(self._writer.parts)))
            case "pre":
                self._preformatted += 1
            case "table":
                self._layout_tables.append(attributes.get("role") in ("presentation", "none"))
            case "ul" | "ol":
                self._lists.append(_List(ordered=tag == "ol"))
            case "li":
                mark = self._lists[-1].next_mark() if self._lists else "- "
                self._writer.list_mark("  " * (len(self._lists) - 1) + mark)

    def handle_endtag(self, tag: str) -> None:
        if self._left_out:
            if tag in self._left_out:
                while self._left_out.pop() != tag:
                    pass
            return
        match tag:
            case "a" if self._links:
                self._end_link(*self._links.pop())
            case "pre":
                self._preformatted = max(0, self._preformatted - 1)
            case "ul" | "ol" if self._lists:
                self._lists.pop()
        self._break_around(tag)
        if tag == "table" and self._layout_tables:
            self._layout_tables.pop()

    def handle_data(self, data: str) -> None:
        if self._left_out:
            return
        if self._preformatted:
            self._writer.write(data)
        else:
            self._inline(data)

    def handle_comment(self, data: str) -> None:
        if self._left_out or self._tags is None:
            return
        match self._tags.found(data):
            case [index] if data == self._tags.mark(index):
                if self._tags.is_output(index):
                    self._writer.write(data)
                else:
                    self._writer.statement(data)
                    for items in self._lists:
                        items.number = None

    def _break_around(self, tag: str) -> None:
        """Line breaks before or after an element; cells of one row share a line."""
        layout = bool(self._layout_tables) and self._layout_tables[-1]
        nested_list = tag in ("ul", "ol") and bool(self._lists)
        if (tag in _PARAGRAPH and not nested_list) or (tag == "tr" and layout):
            self._writer.break_lines(2)
        elif tag in _LINE or nested_list or (tag in ("td", "th") and layout):
            self._writer.break_lines(1)
        elif tag in ("td", "th") and self._writer.within_line:
            self._writer.gap("  ")

    def _inline(self, text: str) -> None:
        words = text.split()
        if text[:1].isspace():
            self._writer.gap(" ")
        if words:
            self._writer.write(" ".join(words))
            if text[-1].isspace():
                self._writer.gap(" ")

    def _end_link(self, href: str, start: int) -> None:
        text = "".join(self._writer.parts[start:]).strip()
        bare = _SCHEME.sub("", href).rstrip("/")
        if not text:
            self._inline(href)
        elif href and not href.startswith("#") and bare != _SCHEME.sub("", text).rstrip("/"):
            self._writer.gap(" ")
            self._writer.write(f"({href})")
