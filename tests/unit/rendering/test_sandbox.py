"""What a template can't do, by the known ways out of Jinja2's sandbox, and what it sees of plain data."""

import pytest

from emailflow_runtime.errors import RenderError
from emailflow_runtime.rendering.errors import TemplateForbidden, TemplateSyntaxError, UndefinedVariable

FORMAT_CALLS = [
    "{{ '{0.__class__.__mro__}'.format(contact) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ ('{0.__class__}' | safe).format(1) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
    "{{ ['{0.__class__}'] | map('format', 1) | first | upper }}{{ ''.__class__ }}",
    "{{ '{0.__globals__}'.format(range) }}",
]
ATTRIBUTES = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''['__cla' ~ 'ss__'].__mro__ }}",
    "{{ ().__class__.__bases__[0].__subclasses__() }}",
    "{{ contact.__class__ }}",
    "{{ contact['__class__'] }}",
    "{{ contact.items.__self__ }}",
    "{{ contact.items().__class__ }}",
    "{{ contact.items._method }}",
    "{{ range.__init__.__globals__ }}",
    "{{ dict.mro() }}",
    "{{ dict.__base__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ namespace(x=1)._Namespace__attrs }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ contact.nope.__init__.__globals__ }}",
    "{{ undefined_name.__init__ }}",
    "{% macro m() %}{% endmacro %}{{ m.__call__.__globals__ }}",
    "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
    "{{ (contact | list).__class__ }}",
    "{{ [''] | map(attribute='__class__') | first }}",
    "{{ [[1]] | map(attribute='append') | first }}",
    "{{ [''] | selectattr('__class__') | list | length }}{{ ''.__class__ }}",
    "{{ (1).real.__class__ }}",
    "{{ ('a' for a in [1]).gi_frame }}",
    "{% for x in contact.values() %}{{ loop.__class__ }}{% endfor %}",
]
CHANGES = [
    "{{ event.data['items'].append(1) }}",
    "{{ event.data['items'].clear() }}",
    "{{ contact.update({'name': 'x'}) }}",
    "{{ contact.pop('name') }}",
    "{{ contact.setdefault('x', 1) }}",
    "{{ contact.clear() }}",
]
NOT_THERE = [
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__ }}",
    "{{ config }}",
    "{{ env }}",
    "{{ environment }}",
    "{{ request }}",
    "{{ get_flashed_messages.__globals__ }}",
]
UNREADABLE = [
    "{{ ''|attr('__class__') }}",
    "{{ [''] | map('attr', '__class__') | list }}",
    "{{ {'a b': 1} | xmlattr }}",
    "{{ [1, 2] | random }}",
    "{{ contact | pprint }}",
    "{% debug %}",
    "{% do contact.clear() %}",
    "{{ import('os') }}",
]
OTHER_TEMPLATES = [
    "{% include '/etc/passwd' %}",
    "{% extends 'base' %}",
    "{% import 'x' as x %}",
    "{% from 'x' import y %}",
]


@pytest.mark.parametrize("field", ["body", "subject", "text"])
@pytest.mark.parametrize(
    "source", FORMAT_CALLS + ATTRIBUTES + CHANGES + NOT_THERE + UNREADABLE + OTHER_TEMPLATES
)
def test_no_way_out_leads_anywhere(render, source, field):
    with pytest.raises(RenderError):
        render(**{"body": "<p>-</p>", field: source})


@pytest.mark.parametrize(
    "source",
    [
        "{{ [contact] | map(attribute='__class__') | list }}",
        "{{ [1] | sort(attribute='__class__') }}",
        "{{ [''] | groupby('__class__') | list }}",
    ],
)
def test_filters_that_look_attributes_up_find_nothing(text, source):
    assert "class" not in text(source)


@pytest.mark.parametrize("source", FORMAT_CALLS[1:3] + OTHER_TEMPLATES + ["{{ ''.__class__ }}"])
def test_what_is_forbidden_is_called_so(render, source):
    with pytest.raises(TemplateForbidden):
        render(source)


@pytest.mark.parametrize("source", [UNREADABLE[0], *UNREADABLE[2:5]])
def test_removed_filters_are_unknown(render, source):
    with pytest.raises(TemplateSyntaxError, match="No filter named"):
        render(source)


def test_data_stays_as_it_was(render, context):
    before = repr(context)
    for source in CHANGES:
        with pytest.raises(RenderError):
            render(source)
    assert repr(context) == before


def test_data_called_like_a_method_is_the_data(text):
    assert text("{{ event.data.items | length }}") == "2"
    assert text("{{ event.data.items[0].name }}") == "Tea & cake"


def test_methods_of_mappings_work_where_no_data_is_called_like_them(text):
    assert text("{% for k, v in contact.traits.items() %}{{ k }}={{ v }}{% endfor %}") == "plan=pro"
    assert text("{{ contact.traits.get('x', 'none') }}") == "none"
    assert text("{{ contact.traits.values() | join }}") == "pro"


def test_a_method_that_is_not_called_is_an_undefined_variable(render):
    with pytest.raises(UndefinedVariable, match=r"'contact\.items' is undefined"):
        render("{% for x in contact.items %}{% endfor %}")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{{ nme }}", "'nme'"),
        ("{{ event.data.nme }}", "'event.data.nme'"),
        ("{% if contact.nme %}x{% endif %}", "'contact.nme'"),
        ("{{ contact['nme'] }}", "'contact.nme'"),
        ("{{ contact.nme.first }}", "'contact.nme'"),
    ],
)
@pytest.mark.parametrize("field", ["body", "subject", "text"])
def test_an_undefined_variable_is_named_with_template_and_field(render, source, name, field):
    with pytest.raises(UndefinedVariable) as raised:
        render(**{"body": "<p>-</p>", field: source})
    assert str(raised.value) == f"template shop/welcome: {field}: {name} is undefined"


def test_what_may_be_missing_can_be_asked_for(text):
    assert text("{{ contact.nick | default('you') }}") == "you"
    assert text("{% if contact.nick is defined %}x{% else %}y{% endif %}") == "y"


def test_totals_can_be_kept_across_a_loop(text):
    source = (
        "{% set t = namespace(n=0) %}{% for i in event.data.items %}{% set t.n = t.n + i.qty %}{% endfor %}"
    )
    assert text(source + "{{ t.n }}") == "3"


def test_syntax_errors_say_where_in_the_authors_own_source(render):
    with pytest.raises(TemplateSyntaxError, match=r"body: line 3: "):
        render("<p>\n\n{% for x in %}</p>")


def test_other_errors_name_their_kind(render):
    with pytest.raises(RenderError, match="body: ZeroDivisionError") as raised:
        render("{{ 1 / 0 }}")
    assert raised.value.reason == "RenderFailed"


SECRET = "ana.secret@example.com"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{ event.data.prices[event.data.email] }}", "'event.data.prices[event.data.email]' is undefined"),
        (
            "{{ event.data.prices[contact.email][event.data.email] }}",
            "a name that a value gives is undefined",
        ),
        ("{{ event.data.prices[event.data.email].x }}", "'event.data.prices[event.data.email]' is undefined"),
        ("{{ event.data.email[event.data.email] }}", "'event.data.email[event.data.email]' is undefined"),
        ("{{ event.data.email | round }}", "TypeError"),
        ("{{ event.data.email | sum }}", "TypeError"),
        ("{{ '%d' | format(event.data.email) }}", "TypeError"),
        ("{{ event.data.email.nope }}", "'event.data.email.nope' is undefined"),
        ("{{ event.data.email.encode('x-unknown') }}", "LookupError"),
        ("{{ event.data.email.index('nothing') }}", "ValueError"),
        ("{{ event.data.email | number }}", "number: expected a number"),
        ("{{ event.time | datetime('%H', event.data.email) }}", "datetime: expected an IANA time zone"),
        ("{{ contact.name[event.data.dunder] }}", "does not allow"),
    ],
)
@pytest.mark.parametrize("field", ["body", "subject"])
def test_no_error_quotes_a_value(render, source, said, field):
    data = {"email": SECRET, "prices": {"a": 1}, "dunder": "__class__"}
    context = {
        "contact": {"name": "a", "email": "a"},
        "event": {"data": data, "time": "2026-01-01T00:00:00Z"},
    }
    with pytest.raises(RenderError) as raised:
        render(**{"body": "<p>-</p>", field: source}, context=context)
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "__class__" not in str(raised.value)


def test_a_document_that_values_break_is_not_quoted(render):
    source = "{% set tag = event.data.email %}<mjml><mj-body>{{ tag | safe }}</mj-body></mjml>"
    with pytest.raises(RenderError) as raised:
        render(source, format="mjml", context={"event": {"data": {"email": f"<mj-secret {SECRET}"}}})
    assert "secret" not in str(raised.value)


def test_endless_recursion_ends(render):
    with pytest.raises(RenderError, match="nests too deeply"):
        render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")
