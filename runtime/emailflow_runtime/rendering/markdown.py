"""Markdown bodies: CommonMark with tables, turned into HTML once, with Jinja2's tags left in place.

The Markdown is the author's, HTML in it included. Values come in only after it has been converted, so
nothing that an event brings is ever read as Markdown.
"""

import re

from emailflow_runtime.rendering.tags import Marked, keyword, marked

_CELLS = re.compile(r"^\s*\|")
_ENCLOSING = frozenset({"for", "if", "with", "filter", "macro", "call", "autoescape"})


def to_html(source: str) -> str:
    """The HTML of a Markdown source (CommonMark 0.31, GitHub's tables and strikethrough).

    A statement alone on its line stands between blocks, list items or table rows, and a loop around
    the items of a list gives one list.
    """
    tags = marked(source)
    from markdown_it import MarkdownIt  # a worker without Markdown templates need not carry it

    converter = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    html: str = converter.render(_statements_set_apart(tags))
    return tags.restored(_one_list_per_loop(_rows_of_their_own(html, tags), tags))


def _statements_set_apart(tags: Marked) -> str:
    """Statement lines as comments, which end a block; within a table as rows, which don't end it.

    The end of a statement goes where its beginning went, so that the two enclose whole rows or blocks.
    """
    line_of_statements = re.compile(rf"[ \t]*(?:{tags.pattern}[ \t]*)+")
    lines: list[str] = []
    within_table = after_statement = False
    began_in_table: list[bool] = []
    for line in tags.text.split("\n"):
        found = tags.found(line)
        if line_of_statements.fullmatch(line) is None or any(map(tags.is_output, found)):
            if after_statement and within_table and line.strip() and not _CELLS.match(line):
                lines.append("")
            after_statement = False
            within_table = _CELLS.match(line) is not None
            lines.append(line)
            continue
        as_row = within_table
        for index in found:
            as_row = _place(keyword(tags.tags[index]), began_in_table, within_table)
        lines.append(line if as_row else re.sub(tags.pattern, r"<!--\g<0>-->", line))
        within_table = within_table and as_row
        after_statement = True
    return "\n".join(lines)


def _place(word: str, began_in_table: list[bool], within_table: bool) -> bool:
    """Whether a statement stands within the table; keeps count of those that are open."""
    if word.startswith("end"):
        return began_in_table.pop() if began_in_table else within_table
    if word in ("else", "elif"):
        return began_in_table[-1] if began_in_table else within_table
    if word in _ENCLOSING:
        began_in_table.append(within_table)
    return within_table


def _rows_of_their_own(html: str, tags: Marked) -> str:
    """Table rows that hold nothing but statements, as comments between rows."""
    row = re.compile(rf"<tr>\s*<td[^>]*>((?:{tags.pattern}\s*)+)</td>(?:\s*<td[^>]*></td>)*\s*</tr>")
    return row.sub(lambda match: re.sub(tags.pattern, r"<!--\g<0>-->", match[1]), html)


def _one_list_per_loop(html: str, tags: Marked) -> str:
    """`for <ul>…</ul> endfor` as `<ul> for … endfor </ul>`."""
    statement = rf"<!--{tags.prefix}(\d+)z-->"
    loop = re.compile(rf"{statement}\n<(ul|ol)>\n((?:(?!<!--).)*)</\2>\n{statement}", re.DOTALL)

    def turned(match: re.Match[str]) -> str:
        first, last = (tags.tags[int(index)] for index in (match[1], match[4]))
        if "endfor" not in last or "for" not in first:
            return match[0]
        opening, closing = (f"<!--{tags.mark(int(index))}-->" for index in (match[1], match[4]))
        return f"<{match[2]}>\n{opening}\n{match[3]}{closing}\n</{match[2]}>"

    return loop.sub(turned, html)
