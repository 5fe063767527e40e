"""Jinja2's tags within a source, and the marks that stand for them while other tools work on it.

MJML, Markdown and CSS know nothing of Jinja2. So its tags are replaced by words that those tools pass on
untouched, and put back afterwards. Nothing here knows what the markup means.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

_STRING = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
TAG = re.compile(
    rf"\{{\{{(?:{_STRING}|[^'\"])*?\}}\}}|\{{%(?:{_STRING}|[^'\"])*?%\}}|\{{#.*?#\}}",
    re.DOTALL,
)
_KEYWORD = re.compile(r"\{%[-+]?\s*(\w+)")
OPENER = re.compile(r"\{[{%#]")


def keyword(tag: str) -> str:
    """`for` of `{% for x in y %}`; empty for an output or a comment."""
    match = _KEYWORD.match(tag)
    return match[1] if match else ""


class Marked(NamedTuple):
    """A source in which each tag has become a mark: `text`, and what the marks stand for.

    A mark is a word of lower-case letters and digits. In a comment of its own (`<!--mark-->`) it may
    stand where HTML allows no text, as between the rows of a table.
    """

    text: str
    tags: tuple[str, ...]
    prefix: str

    def mark(self, index: int) -> str:
        """The word that stands for that tag."""
        return f"{self.prefix}{index}z"

    @property
    def pattern(self) -> str:
        """A regular expression for a mark; its only group is the tag's index."""
        return rf"{self.prefix}(\d+)z"

    def found(self, text: str) -> list[int]:
        """The tags whose marks stand in that text, in order."""
        return [int(index) for index in re.findall(self.pattern, text)]

    def is_output(self, index: int) -> bool:
        """Whether that tag is a `{{ … }}`."""
        return self.tags[index].startswith("{{")

    def restored(self, text: str) -> str:
        """The text with its tags put back. What only looks like a tag there is kept from becoming one."""
        literal = OPENER.sub(lambda match: f"{{{{ '{match[0]}' }}}}", text)
        return re.sub(
            f"<!--{self.pattern}-->|{self.pattern}",
            lambda match: self.tags[int(match[1] or match[2])],
            literal,
        )


def marked(source: str) -> Marked:
    """The source with its outputs and statements marked and its Jinja2 comments gone."""
    prefix = "z"
    while prefix in source:
        prefix += "jz"
    tags: list[str] = []

    def mark(match: re.Match[str]) -> str:
        if match[0].startswith("{#"):
            return ""
        tags.append(match[0])
        return f"{prefix}{len(tags) - 1}z"

    text = TAG.sub(mark, source)
    return Marked(text, tuple(tags), prefix)


def map_literals(source: str, change: Callable[[str], str]) -> str:
    """The source with everything but its tags changed."""
    parts: list[str] = []
    end = 0
    for match in TAG.finditer(source):
        parts += (change(source[end : match.start()]), match[0])
        end = match.end()
    return "".join([*parts, change(source[end:])])
