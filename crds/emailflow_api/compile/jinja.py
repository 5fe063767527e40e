"""Jinja2 as templates may use it: its syntax, the filters and tests that rendering has, and its bounds.

Parsing only. Generating code computes constants, so that `{{ 9**9**9**9 }}` would never come to an end. The
bounds are kept while tokens reach the parser and by a walk with a list of its own: whatever a source holds,
nothing here recurses as deep as it likes, and nothing is raised.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS

from emailflow_api.compile.jinja_names import Names
from emailflow_api.compile.remembered import Remembered
from emailflow_api.compile.report import Report

OWN_FILTERS = ("datetime", "date", "number", "money")
"""Filters that rendering adds to Jinja2's (a test compares)."""
REMOVED_FILTERS = ("attr", "xmlattr", "random", "pprint")
"""Filters of Jinja2's that rendering leaves out (a test compares)."""
FILTERS = (DEFAULT_FILTERS.keys() | set(OWN_FILTERS)) - set(REMOVED_FILTERS)

LARGEST = 2000
"""Tokens in one tag: `{{ … }}` or `{% … %}`."""
DEEPEST_BRACKETS = 50
"""Brackets in one another; rendering's own compiler ends at 69."""
DEEPEST = 90
"""Levels of the parsed template, tags and expressions together; rendering's own compiler ends near 98."""
MOST_LOOPS = 20
"""Loops in one another: Python has no more blocks in a function."""
MOST_BRANCHES = 500
"""`elif`s of one `if`; Python's own compiler ends near 2,900."""
MOST_FAULTS = 20
"""That are told of one source."""

_LOADING = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_OPENING = frozenset({"lparen", "lbracket", "lbrace"})
_CLOSING = frozenset({"rparen", "rbracket", "rbrace"})
_BEGINS = frozenset({"variable_begin", "block_begin"})
_REMEMBERED_BYTES = 4 << 20


class Fault(NamedTuple):
    """One thing that is wrong with a source."""

    reason: str
    message: str
    expected: str


class Jinja(NamedTuple):
    """What a source shows: its faults, the names of its blocks when it is Jinja2 at all, and doubts: names
    that no mail has."""

    faults: tuple[Fault, ...]
    blocks: frozenset[str] = frozenset()
    doubts: tuple[Fault, ...] = ()


class _TooComplex(Exception):
    """A bound is passed."""

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(message)
        self.fault = Fault("TemplateTooComplex", message, expected)


class _Bounds(Extension):
    """Counts tokens on their way to the parser, which recurses with brackets."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """See Jinja2."""
        size = depth = 0
        for token in stream:
            if token.type in _BEGINS:
                size = depth = 0
            elif token.type != "data":
                size += 1
                depth += (token.type in _OPENING) - (token.type in _CLOSING)
                if size > LARGEST:
                    raise _TooComplex(
                        f"line {token.lineno}: one tag holds too much", f"at most {LARGEST:,} words and signs"
                    )
                if depth > DEEPEST_BRACKETS:
                    message = f"line {token.lineno}: brackets are nested too deeply"
                    raise _TooComplex(message, f"at most {DEEPEST_BRACKETS} in one another")
            yield token


_environment = ImmutableSandboxedEnvironment(extensions=[_Bounds])
_known: Remembered[Jinja] = Remembered(_REMEMBERED_BYTES)


def check_jinja(report: Report, path: str, source: str) -> None:
    """Report what is not Jinja2, or too complex, filters and tests that don't exist, and tags that load
    other templates; as a warning, names that are never there."""
    read = read_jinja(source)
    for fault in read.faults:
        report.error(fault.reason, path, fault.message, fault.expected)
    for doubt in read.doubts:
        report.warning(doubt.reason, path, doubt.message, doubt.expected)


def has_block(source: str, name: str) -> bool:
    """Whether the source is Jinja2 with a block of that name."""
    return name in read_jinja(source).blocks


def read_jinja(source: str) -> Jinja:
    """What the source shows; sources that were read lately are known by their hash."""
    return _known.get(source, _read, _size)


def _read(source: str) -> Jinja:
    try:
        return _inspected(_environment.parse(source))
    except TemplateSyntaxError as error:
        message = f"line {error.lineno}: {error.message}"
        return Jinja((Fault("TemplateSyntaxError", message, "Jinja2"),))
    except _TooComplex as error:
        return Jinja((error.fault,))
    except RecursionError:
        message = "is nested too deeply"
        return Jinja((Fault("TemplateTooComplex", message, f"at most {DEEPEST} levels"),))
    except ValueError:
        # What `int` says of more than 4,300 digits.
        return Jinja((Fault("TemplateSyntaxError", "holds a number that is too long", "a shorter number"),))


def _inspected(tree: nodes.Template) -> Jinja:
    faults: list[Fault] = []
    blocks: set[str] = set()
    names = Names()
    for node in _walk(tree):
        names.note(node)
        if isinstance(node, nodes.Block):
            blocks.add(node.name)
        elif len(faults) < MOST_FAULTS and (fault := _fault_of(node)) is not None:
            faults.append(fault)
    doubts = [] if faults else [Fault("UnknownVariable", *each) for each in names.unknown()[:MOST_FAULTS]]
    return Jinja(tuple(faults), frozenset(blocks), tuple(doubts))


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Every node, in the order of the source. Raises _TooComplex, before anything deeper is looked at."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        line = f"line {node.lineno}"
        if depth > DEEPEST:
            raise _TooComplex(f"{line}: is nested too deeply", f"at most {DEEPEST} levels")
        if isinstance(node, nodes.For) and (loops := loops + 1) > MOST_LOOPS:
            raise _TooComplex(f"{line}: loops are nested too deeply", f"at most {MOST_LOOPS} in one another")
        if isinstance(node, nodes.If) and len(node.elif_) > MOST_BRANCHES:
            raise _TooComplex(f"{line}: an `if` has too many branches", f"at most {MOST_BRANCHES}")
        yield node
        inner: Iterable[nodes.Node] = node.iter_child_nodes()
        waiting += [(each, depth + 1, loops) for each in reversed(list(inner))]


def _fault_of(node: nodes.Node) -> Fault | None:
    if isinstance(node, _LOADING):
        name = "import" if isinstance(node, nodes.FromImport) else type(node).__name__.lower()
        message = f"line {node.lineno}: `{name}` would load another template"
        return Fault("TemplateForbidden", message, "`layoutRef`")
    if isinstance(node, nodes.Filter | nodes.Test):
        kind, known = ("filter", FILTERS) if isinstance(node, nodes.Filter) else ("test", DEFAULT_TESTS)
        if node.name not in known:
            message = f"line {node.lineno}: there is no {kind} `{node.name}`"
            return Fault("TemplateSyntaxError", message, f"a {kind} of Jinja2 or EmailFlow")
    return None


def _size(read: Jinja) -> int:
    """Bytes, roughly."""
    texts = sum(len(text) for fault in (*read.faults, *read.doubts) for text in fault)
    return 200 + 4 * (texts + sum(map(len, read.blocks)))
