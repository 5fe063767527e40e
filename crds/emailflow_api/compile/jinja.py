"""Jinja2 as templates may use it: its syntax, and the filters and tests that rendering has.

Parsing only. Generating code computes constants, so that `{{ 9**9**9**9 }}` would never come to an end.
"""

from jinja2 import TemplateSyntaxError, nodes
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS

from emailflow_api.compile.report import Report

OWN_FILTERS = ("datetime", "date", "number", "money")
"""Filters that rendering adds to Jinja2's (a test compares)."""
REMOVED_FILTERS = ("attr", "xmlattr", "random", "pprint")
"""Filters of Jinja2's that rendering leaves out (a test compares)."""
FILTERS = (DEFAULT_FILTERS.keys() | set(OWN_FILTERS)) - set(REMOVED_FILTERS)

_environment = ImmutableSandboxedEnvironment()
_LOADING = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


def check_jinja(report: Report, path: str, source: str) -> None:
    """Report what is not Jinja2, filters and tests that don't exist, and tags that load other templates."""
    try:
        tree = _environment.parse(source)
    except TemplateSyntaxError as error:
        report.error("TemplateSyntaxError", path, f"line {error.lineno}: {error.message}", "Jinja2")
        return
    except RecursionError:
        report.error("TemplateSyntaxError", path, "is nested too deeply", "Jinja2")
        return
    for tag in tree.find_all(_LOADING):
        name = "import" if isinstance(tag, nodes.FromImport) else type(tag).__name__.lower()
        message = f"line {tag.lineno}: `{name}` would load another template"
        report.error("TemplateForbidden", path, message, "`layoutRef`")
    for used in tree.find_all((nodes.Filter, nodes.Test)):
        kind, known = ("filter", FILTERS) if isinstance(used, nodes.Filter) else ("test", DEFAULT_TESTS)
        if used.name not in known:
            message = f"line {used.lineno}: there is no {kind} `{used.name}`"
            report.error("TemplateSyntaxError", path, message, f"a {kind} of Jinja2 or EmailFlow")


def has_block(source: str, name: str) -> bool:
    """Whether the source is Jinja2 with a block of that name."""
    try:
        tree = _environment.parse(source)
    except (TemplateSyntaxError, RecursionError):
        return False
    return any(block.name == name for block in tree.find_all(nodes.Block))
