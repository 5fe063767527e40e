"""The words of an HTML body, for snippets and search when a mail has no text part.

This is not a sanitizer: the result is plain text that pages still have to escape.
"""

from html.parser import HTMLParser

_SILENT = frozenset({"head", "script", "style", "template", "title"})
_READ_AT_MOST = 200_000


class _Words(HTMLParser):
    """Collects text outside of elements that show none."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif dict(attrs).get("alt"):
            self.words.append(str(dict(attrs)["alt"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT and self._silent:
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)


def words(html: str) -> str:
    """What a reader would see of the first 200,000 characters, without layout."""
    collector = _Words()
    collector.feed(html[:_READ_AT_MOST])
    return " ".join(" ".join(collector.words).split())
