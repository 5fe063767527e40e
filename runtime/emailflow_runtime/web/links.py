"""The links of a mail, so that people can follow them outside of the sandbox that shows it.

Only http and https: no other scheme of a stranger's mail may become something to click.
"""

import re
from html.parser import HTMLParser
from typing import NamedTuple

_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]+", re.IGNORECASE)


class Link(NamedTuple):
    """Where a link leads, and what the reader sees of it."""

    url: str
    label: str


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[Link] = []
        self._url = ""
        self._label: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in ("a", "area"):
            self._finish()
            self._url = (attributes.get("href") or "").strip()
        elif tag == "img" and self._url:
            self._label.append(attributes.get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._finish()

    def handle_data(self, data: str) -> None:
        if self._url:
            self._label.append(data)

    def close(self) -> None:
        super().close()
        self._finish()

    def _finish(self) -> None:
        if _WEB_ADDRESS.match(self._url):
            self.links.append(Link(self._url, " ".join("".join(self._label).split())))
        self._url, self._label = "", []


def links(html: str, text: str) -> list[Link]:
    """The links of the HTML, or without any HTML the web addresses in the text, each once and in order."""
    if not html:
        return [Link(url, "") for url in dict.fromkeys(_WEB_ADDRESS.findall(text))]
    anchors = _Anchors()
    anchors.feed(html)
    anchors.close()
    return list(dict.fromkeys(anchors.links))
