"""Names that no mail has: a wrong letter in a template is told before a person meets it."""

import pytest


@pytest.fixture
def doubts(compile_text, sound):
    def compile_body(body):
        html = sound["template"].replace("<p>Hello</p>", "'" + body + "'")
        found = compile_text(template=html)
        assert "default/welcome" in found.plans.flows
        return [(each.reason, each.path, each.expected) for each in found.findings]

    return compile_body


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ("{{ contcat.name }}", "contact"),
        ("{{ contact.nmae }}", "contact.name"),
        ("{{ links.unsubscrbe }}", "links.unsubscribe"),
        ("{% if evnt.data %}x{% endif %}", "event"),
        ("{% for x in range(3) %}{{ y.name }}{% endfor %}", None),
    ],
)
def test_a_wrong_letter_is_a_warning_with_what_was_meant(doubts, body, meant):
    [(reason, path, expected)] = doubts(body)
    assert (reason, path) == ("UnknownVariable", "spec.html")
    assert expected == meant or (meant is None and expected.startswith("one of "))


@pytest.mark.parametrize(
    "body",
    [
        "{{ contact.traits.anything }} {{ event.data.x }} {{ trigger.subject }} {{ now }} {{ locale }}",
        "{% set hello = contact.name %}{{ hello }}",
        "{% for a, b in contact.traits.items() %}{{ loop.index }} {{ a }}{{ b }}{% endfor %}",
        "{% macro shout(word) %}{{ word }}{{ varargs }}{% endmacro %}{{ shout(contact.name) }}",
        "{% set ns = namespace(n=0) %}{% set ns.n = 1 %}{{ ns.n }}{{ dict(a=1) }}",
        "{% set contact = event.data %}{{ contact.anything }}",
        '{{ contact.get("name") }}',
    ],
)
def test_what_is_there_is_not_doubted(doubts, body):
    assert doubts(body) == []
