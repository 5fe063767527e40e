"""YAML text to documents. libyaml parses, which go-yaml is a port of; what scalars mean is in `scalars`.

Keys that stand twice in one mapping are refused, since one of them would be lost silently. One known
difference: after the tag `!` a plain scalar is resolved here and a string there; libyaml doesn't tell.
"""

import base64
import binascii
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from yaml import CBaseLoader, MappingNode, Node, ScalarNode, SequenceNode
from yaml.error import Mark, MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from emailflow_api.errors import InvalidYaml
from emailflow_api.reading import scalars
from emailflow_api.reading.document import Document

_PLAIN = "plain"
_QUOTED = "quoted"
_MERGE = scalars.TAG_PREFIX + "merge"
_LARGEST_EXPANSION = 200_000
"""Values that one document may hold with its aliases expanded; go-yaml draws the same kind of line."""

_DEEPEST = 100
"""Levels of nesting; manifests have about ten."""


class _Loader(CBaseLoader):
    """Composes nodes whose tag says how a scalar was written, where no tag was given."""

    _depth = 0

    def resolve(self, kind: type[Node], _value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return ""

    def descend_resolver(self, _parent: Any, _index: Any) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:  # libyaml's composer recurses on the C stack and would crash
            raise RecursionError

    def ascend_resolver(self) -> None:
        self._depth -= 1


def read_documents(text: str, name: str) -> list[Document]:
    """Every object in the text, the items of Lists one by one; empty documents are passed over.

    `name` is what messages and documents call the text. Raises InvalidYaml, which names line and column.
    """
    _check_separators(text, name)
    documents: list[Document] = []
    for node in _nodes(text, name):
        reader = _Reader(name)
        value = reader.value(node)
        if value is None:
            continue
        if not isinstance(value, dict):
            reader.refuse(node, "a document must be an object with apiVersion and kind")
        documents += _unpacked(value, node, reader)
    return documents


def _check_separators(text: str, name: str) -> None:
    """Refuse what `kubectl` can't take, since it cuts files at lines before it reads YAML.

    Nothing but a comment may follow `---` on its line, and a directive is cut off from its document
    (YAMLReader in k8s.io/apimachinery/pkg/util/yaml).
    """
    at_start = True
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("---"):
            if line[3:].split("#", 1)[0].strip():
                raise InvalidYaml(
                    f"{name}:{number}:4: only a comment may follow `---`", expected="a line end"
                )
            at_start = True
        elif at_start and line.startswith("%"):
            raise InvalidYaml(f"{name}:{number}:1: `kubectl` takes no directives", expected="YAML")
        elif line.split("#", 1)[0].strip():
            at_start = False


def _nodes(text: str, name: str) -> Iterator[Node]:
    try:
        loader = _Loader(text)
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                yield node
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ": ".join(part for part in (error.context, error.problem) if part)
        raise InvalidYaml(f"{_where(name, mark)}: {problem}", expected="YAML") from None
    except ReaderError as error:
        before = text.encode()[: error.position].decode(errors="ignore").split("\n")
        where = f"{name}:{len(before)}:{len(before[-1]) + 1}"
        raise InvalidYaml(f"{where}: {error.reason}", expected="YAML") from None
    except (YAMLError, UnicodeError) as error:
        raise InvalidYaml(f"{name}: {str(error).splitlines()[0]}", expected="YAML in UTF-8") from None
    except RecursionError:
        raise InvalidYaml(f"{name}: nested too deeply", expected="YAML") from None


def _unpacked(value: dict[str, Any], node: Node, reader: "_Reader") -> list[Document]:
    """The object itself, or the items of a List of any kind, as `kubectl` takes them apart."""
    items = value.get("items")
    if not (str(value.get("kind", "")).endswith("List") and isinstance(items, list)):
        return [Document(value, reader.name, node.start_mark.line + 1)]
    if not all(isinstance(item, dict) for item in items):
        reader.refuse(node, "the items of a List must be objects")
    listed = next((inner for key, inner in node.value if key.value == "items"), None)
    places = listed.value if isinstance(listed, SequenceNode) else [node] * len(items)
    return [
        Document(item, reader.name, place.start_mark.line + 1)
        for item, place in zip(items, places, strict=True)
    ]


def _where(name: str, mark: Mark | None) -> str:
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name


class _Reader:
    """Turns the nodes of one document into JSON values."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._open: set[int] = set()
        self._made = 0

    def refuse(self, node: Node, problem: str) -> NoReturn:
        """Raise InvalidYaml at a node."""
        raise InvalidYaml(f"{_where(self.name, node.start_mark)}: {problem}", expected="YAML")

    def value(self, node: Node) -> Any:
        """The JSON value of a node. Raises InvalidYaml."""
        self._made += 1
        if self._made > _LARGEST_EXPANSION:
            self.refuse(node, "the document's aliases expand to too much")
        if isinstance(node, ScalarNode):
            number = self._scalar(node)
            if isinstance(number, float):
                if not math.isfinite(number):
                    self.refuse(node, f"`{node.value}` is no number that JSON has")
                return scalars.as_json(number)
            return number
        if id(node) in self._open:
            self.refuse(node, "an anchor's value contains itself")
        if len(self._open) >= _DEEPEST:
            self.refuse(node, "nested too deeply")
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item) for item in node.value]
            return self._mapping(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Node) -> dict[str, Any]:
        result: dict[str, Any] = {}
        given: set[str] = set()
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                result.update(self._merged(value_node))
                continue
            key = self._key(key_node)
            if key in given:
                self.refuse(key_node, f"the key `{key}` is already there")
            given.add(key)
            result[key] = self.value(value_node)
        return result

    def _key(self, node: Node) -> str:
        key = scalars.key_of(self._scalar(node)) if isinstance(node, ScalarNode) else None
        if key is None:
            self.refuse(node, "a key must be a string")
        return key

    def _merged(self, node: Node) -> dict[str, Any]:
        """What `<<` brings in: a mapping, or a list of them of which the first wins."""
        if isinstance(node, MappingNode):
            found: dict[str, Any] = self.value(node)
            return found
        if not isinstance(node, SequenceNode) or not all(isinstance(n, MappingNode) for n in node.value):
            self.refuse(node, "`<<` merges a mapping or a list of mappings")
        result: dict[str, Any] = {}
        for item in reversed(node.value):
            result.update(self.value(item))
        return result

    def _scalar(self, node: ScalarNode) -> Any:
        tag, text = node.tag, node.value
        if tag == _PLAIN:
            return scalars.resolve(text)
        if tag == scalars.BINARY:
            return self._binary(node)
        if tag not in scalars.RESOLVED:
            return text
        value = scalars.resolve(text)
        if tag == scalars.FLOAT and scalars.type_of(value) == scalars.INT:
            return float(value)
        if tag == scalars.TIMESTAMP and scalars.is_date(text):
            return text
        if scalars.type_of(value) != tag:
            self.refuse(node, f"`{text}` is no {tag.removeprefix(scalars.TAG_PREFIX)}")
        return value

    def _binary(self, node: ScalarNode) -> str:
        try:
            encoded = "".join(node.value.split())
            return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            self.refuse(node, "!!binary needs base64")


def _is_merge(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value == "<<" and node.tag in (_PLAIN, _MERGE)
