"""Templates are checked without being run: no bomb goes off in lint or in the operator."""

import pytest

from emailflow_api.compile import compile_resources
from emailflow_api.reading import read_documents

TEMPLATE = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: t}
spec:
  subject: Hello
  html: |
    BODY
"""


def reasons(body: str) -> list[str]:
    documents = read_documents(TEMPLATE.replace("BODY", body), "t.yaml")
    return [finding.reason for finding in compile_resources(documents, laptop=True).findings]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{{ a", "TemplateSyntaxError"),
        ("{{ a | nofilter }}", "TemplateSyntaxError"),
        ("{% if x %}{{ a | nofilter }}{% endif %}", "TemplateSyntaxError"),
        ("{{ a is notest }}", "TemplateSyntaxError"),
        ("{{ a | attr('b') }}", "TemplateSyntaxError"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "TemplateSyntaxError"),
        ("{% include 'other' %}", "TemplateForbidden"),
        ("{% extends 'other' %}", "TemplateForbidden"),
    ],
)
def test_what_rendering_would_refuse_is_refused_before(body: str, reason: str) -> None:
    assert reasons(body) == [reason]


@pytest.mark.parametrize("body", ["{{ 'x' * 10**12 }}", "{{ event.data.n | number }} {{ now | date }}"])
def test_nothing_is_computed(body: str) -> None:
    assert reasons(body) == []
