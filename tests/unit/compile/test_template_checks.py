"""Templates are checked without being run: no bomb goes off in lint or in the operator."""

from collections.abc import Callable

import pytest

from emailflow_api.compile import compile_resources
from emailflow_api.errors import Finding
from emailflow_api.reading import read_documents
from emailflow_runtime.rendering.environment import HTML, Source

TEMPLATE = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: t}
spec:
  subject: Hello
  html: |
    BODY
"""


def findings(body: str, **more: str) -> tuple[Finding, ...]:
    members = "".join(f"  {name}: {value}\n" for name, value in more.items())
    documents = read_documents(TEMPLATE.replace("BODY", body) + members, "t.yaml")
    found = compile_resources(documents, laptop=True).findings
    return tuple(each for each in found if each.reason != "UnknownVariable")


def reasons(body: str) -> list[str]:
    return [finding.reason for finding in findings(body)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{{ a", "TemplateSyntaxError"),
        ("{{ a | nofilter }}", "TemplateSyntaxError"),
        ("{% if x %}{{ a | nofilter }}{% endif %}", "TemplateSyntaxError"),
        ("{{ a is notest }}", "TemplateSyntaxError"),
        ("{{ a | attr('b') }}", "TemplateSyntaxError"),
        ("{{ " + "9" * 4301 + " }}", "TemplateSyntaxError"),
        ("{% include 'other' %}", "TemplateForbidden"),
        ("{% extends 'other' %}", "TemplateForbidden"),
    ],
)
def test_what_rendering_would_refuse_is_refused_before(body: str, reason: str) -> None:
    assert reasons(body) == [reason]


@pytest.mark.parametrize("body", ["{{ 'x' * 10**12 }}", "{{ event.data.n | number }} {{ now | date }}"])
def test_nothing_is_computed(body: str) -> None:
    assert reasons(body) == []


SHAPES = {
    "attributes": lambda n: "{{ a" + ".b" * n + " }}",
    "sums": lambda n: "{{ 1" + "+1" * n + " }}",
    "brackets": lambda n: "{{ " + "(" * n + "1" + ")" * n + " }}",
    "lists": lambda n: "{{ " + "[" * n + "1" + "]" * n + " }}",
    "negations": lambda n: "{{ " + "not " * n + "a }}",
    "filters": lambda n: "{{ a" + "|upper" * n + " }}",
    "conditions": lambda n: "{{ a" + " if a else a" * n + " }}",
    "words": lambda n: "{{ [" + "a," * n + "] }}",
    "tags": lambda n: "{% if a %}" * n + "{% endif %}" * n,
    "loops": lambda n: "{% for a in b %}" * n + "{% endfor %}" * n,
    "branches": lambda n: "{% if a %}" + "{% elif b %}" * n + "{% endif %}",
    "macros": lambda n: "{% macro m() %}" * n + "{% endmacro %}" * n,
    "tags and attributes": lambda n: "{% if a %}" * n + "{{ a" + ".b" * n + " }}" + "{% endif %}" * n,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_template_that_is_too_complex_is_told_so(shape: Callable[[int], str]) -> None:
    found = findings(shape(3000))
    assert [(each.reason, each.path) for each in found] == [("TemplateTooComplex", "spec.html")]
    assert "at most" in found[0].expected


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_what_passes_is_what_rendering_can_compile(shape: Callable[[int], str]) -> None:
    passes = (1, 5, 10, 15, 19, 20, 25, 40, 45, 49, 50, 60, 80, 85, 88, 500, 900, 999)
    largest = max(n for n in passes if not findings(shape(n)))
    Source(shape(largest), field="html", environment=HTML)


def test_sources_are_bounded_together_and_not_parsed_beyond_it() -> None:
    found = findings("{{ a }} {% broken " + "x" * 250_000, text="y" * 200_000, preheader="z" * 900)
    assert [each.reason for each in found] == ["TemplateSyntaxError"]
    locales = f"[{{locale: de, html: {'x' * 150_000}}}, {{locale: fr, html: {'x' * 150_000}}}]"
    found = findings("{{ a }} {% broken " + "x" * 250_000, locales=locales)
    assert [(each.reason, each.path) for each in found] == [("TooLarge", "spec.html")]
    assert "524,288" in found[0].expected
