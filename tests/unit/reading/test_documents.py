"""Documents know where they stand, and what can't be read says where."""

import pytest

from emailflow_api.errors import InvalidYaml
from emailflow_api.reading import read_documents

TWO = """\
# a comment first
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: welcome, namespace: shop}
---
# nothing here
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Secret, metadata: {name: keys}}
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: files}
"""


def test_each_object_is_a_document_with_its_position() -> None:
    found = read_documents(TWO, "shop/flows.yaml")
    assert [(each.subject, each.position) for each in found] == [
        ("EmailFlow/shop/welcome", "shop/flows.yaml:2"),
        ("Secret/default/keys", "shop/flows.yaml:11"),
        ("ConfigMap/default/files", "shop/flows.yaml:12"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", "f.yaml:2:2: while parsing a flow sequence: did not find expected ',' or ']'"),
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: the key `a` is already there"),
        ("kind: X\n---\na: 'x", "f.yaml:3:6: while scanning a quoted scalar: found unexpected end of stream"),
        ("é: ü\nb: ö\x01", "f.yaml:2:5: control characters are not allowed"),
        ("a: &x 1\nb: &x 2", "f.yaml:2:4: found duplicate anchor; first occurrence: second occurrence"),
        ("a: 1\n--- {b: 2}", "f.yaml:2:4: only a comment may follow `---`"),
        ("# one\n%YAML 1.1\n---\na: 1", "f.yaml:2:1: `kubectl` takes no directives"),
        ("a: &x [*x]", "f.yaml:1:4: an anchor's value contains itself"),
        ("a: .nan", "f.yaml:1:4: `.nan` is no number that JSON has"),
        ("a: !!int x", "f.yaml:1:4: `x` is no int"),
        ("? [a]\n: b", "f.yaml:1:3: a key must be a string"),
        ("a: {<<: 5}", "f.yaml:1:9: `<<` merges a mapping or a list of mappings"),
        ("kind: List\nitems: [1]", "f.yaml:1:1: the items of a List must be objects"),
    ],
)
def test_what_is_not_yaml_is_refused_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        read_documents(text, "f.yaml")
    assert str(caught.value) == message


def test_aliases_that_multiply_are_refused() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(InvalidYaml, match="aliases expand to too much"):
        read_documents("l0: &l0 x\n" + "\n".join(levels), "bomb.yaml")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_endless_nesting_is_refused(opening: str, closing: str) -> None:
    with pytest.raises(InvalidYaml, match="nested too deeply"):
        read_documents("a: " + opening * 200_000 + closing * 200_000, "deep.yaml")


def test_nesting_by_aliases_counts() -> None:
    levels = [f"l{n}: &l{n} {'[' * 50}*l{n - 1}{']' * 50}" for n in range(1, 30)]
    with pytest.raises(InvalidYaml, match="nested too deeply"):
        read_documents("l0: &l0 x\n" + "\n".join(levels), "deep.yaml")


def test_metadata_of_any_shape_is_read() -> None:
    [document] = read_documents("kind: [1]\nmetadata: 5", "f.yaml")
    assert (document.kind, document.subject) == ("", "?/default/?")
