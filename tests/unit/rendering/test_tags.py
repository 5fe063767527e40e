"""Marks stand for tags and give them back."""

from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.rendering.environment import TEXT
from emailflow_runtime.rendering.tags import TAG, Marked, keyword, map_literals, marked

pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "{{ a }}",
                '{{ x["}}"] }}',
                "{% if a %}",
                "{%- endif -%}",
                "{{ '{%' }}",
                "z",
                "jz",
                "zjz0z",
                "0z",
            ]
        ),
        st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=5),
    )
).map("".join)


@given(pieces)
def test_marking_and_restoring_changes_nothing(source):
    tags = marked(source)
    assert tags.restored(tags.text) == source


@given(st.text("{%#} a"))
def test_text_that_only_looks_like_a_tag_is_still_text_when_restored(literal):
    assert TEXT.from_string(Marked(literal, (), "z").restored(literal)).render() == literal


@given(pieces)
def test_every_tag_has_exactly_one_mark(source):
    tags = marked(source)
    assert tags.found(tags.text) == list(range(len(tags.tags)))


@given(pieces)
def test_literals_are_changed_and_tags_are_not(source):
    shouted = map_literals(source, str.upper)
    assert TAG.findall(shouted) == TAG.findall(source)


def test_comments_are_dropped():
    assert marked("a{# {{ b }} #}c").text == "ac"


def test_quotes_may_hold_what_ends_a_tag():
    assert marked("""{{ "}}" ~ '%}' }}!""").tags == ("""{{ "}}" ~ '%}' }}""",)


def test_a_tag_is_known_by_its_keyword():
    assert [keyword(tag) for tag in ("{% for x in y %}", "{%- endif %}", "{{ for }}", "{# if #}")] == [
        "for",
        "endif",
        "",
        "",
    ]
