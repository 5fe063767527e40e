"""Whether a new schema of an EventType keeps the promise that its `compatibility` makes.

JSON Schemas can't be compared in general. Judged are the keywords that contracts are made of, one by one; a
change of any other is reported as one that can't be judged, so that nothing breaks unseen. A field that is
added to an open object counts as one that nobody sent before (who lists fields means them, as in
`contracts`); everything else is taken as the receiver takes it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from emailflow_api.compile import schema_reading as read

OPAQUE = (
    "$schema", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if",
    "then", "else", "contains", "minContains", "maxContains", "dependencies", "dependentRequired",
    "dependentSchemas", "patternProperties", "prefixItems", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip
"""Keywords that have to stay as they are."""


class Break(NamedTuple):
    """One thing that breaks the promise: where (below the schema), what, and what would keep it."""

    path: str
    message: str
    expected: str


def breaks(old: Any, new: Any, promise: str) -> list[Break]:
    """What breaks `promise` (Backward, Forward, Full or None) when the schema `old` becomes `new`.

    Backward: data that was valid stays valid. Forward: data that is valid now was valid before. Full:
    both. `True` is the schema of any data. Never raises for what is a JSON value.
    """
    found: list[Break] = []
    if promise in ("Backward", "Full"):
        found += _Comparison(old, new).narrowings()
    if promise in ("Forward", "Full"):
        found += [
            each._replace(message=f"data of the new schema under the old one: {each.message}")
            for each in _Comparison(new, old).narrowings()
        ]
    return found


class _Comparison:
    """Finds data that `wide` lets through and `narrow` may not."""

    def __init__(self, wide: Any, narrow: Any) -> None:
        self._wide = wide
        self._narrow = narrow
        self._same_definitions = _definitions(wide) == _definitions(narrow)
        self._compared: set[tuple[str | int, str | int]] = set()

    def narrowings(self) -> list[Break]:
        try:
            return list(self._compare(self._wide, self._narrow, ""))
        except RecursionError:
            return [Break("", "is nested too deeply to be judged", "a flatter schema")]

    def _compare(self, wide: Any, narrow: Any, path: str) -> Iterator[Break]:
        # Once for each pair: recursive schemas come back to one, and those that share parts come often.
        pair = read.reference(wide) or id(wide), read.reference(narrow) or id(narrow)
        if pair in self._compared:
            return
        self._compared.add(pair)
        before, after = read.resolve(wide, self._wide), read.resolve(narrow, self._narrow)
        if before is not None and after is not None:
            yield from self._compare_resolved(before, after, path)
        elif wide != narrow or not self._same_definitions:
            yield _unjudged(path, "$ref")

    def _compare_resolved(self, wide: read.Schema, narrow: read.Schema, path: str) -> Iterator[Break]:
        possible = read.types(wide)
        if read.values(wide) == [] or not narrow:
            return
        yield from _types_narrowed(wide, narrow, path)
        yield from _values_narrowed(wide, narrow, path)
        for keyword, expected in read.tightened(wide, narrow, possible):
            yield Break(_below(path, keyword), "is tighter than before", expected)
        if "object" in possible:
            yield from self._objects(wide, narrow, path)
        if "array" in possible and "items" in narrow:
            yield from self._compare(wide.get("items", True), narrow["items"], _below(path, "items"))
        for keyword in OPAQUE:
            after = narrow.get(keyword)
            if after is not None and not (wide.get(keyword) == after and self._means_the_same(after)):
                yield _unjudged(path, keyword)

    def _objects(self, wide: read.Schema, narrow: read.Schema, path: str) -> Iterator[Break]:
        for name in read.required(narrow):
            if name not in read.required(wide):
                yield Break(_below(path, "required"), f"`{name}` is required now", "an optional field")
        before, after = read.properties(wide), read.properties(narrow)
        others, others_now = wide.get("additionalProperties", True), narrow.get("additionalProperties", True)
        for name, schema in after.items():
            known = before.get(name, others if isinstance(others, Mapping) and others else None)
            if known is not None:
                yield from self._compare(known, schema, _below(path, f"properties.{name}"))
        for name, schema in before.items():
            if name not in after:
                yield from self._gone(schema, others_now, _below(path, f"properties.{name}"))
        if others is not False:
            yield from self._closed(others, others_now, _below(path, "additionalProperties"))

    def _gone(self, schema: Any, others_now: Any, path: str) -> Iterator[Break]:
        if others_now is False:
            yield Break(path, "is gone, and other fields are not allowed", "the field")
        else:
            yield from self._compare(schema, others_now, path)

    def _closed(self, others: Any, others_now: Any, path: str) -> Iterator[Break]:
        if others_now is False:
            yield Break(path, "other fields are not allowed any more", "true, as before")
        else:
            yield from self._compare(others, others_now, path)

    def _means_the_same(self, value: Any) -> bool:
        """Whether equal text means the same: it does, unless it refers to what changed."""
        return self._same_definitions or '"$ref"' not in read.canonical(value)


def _types_narrowed(wide: read.Schema, narrow: read.Schema, path: str) -> Iterator[Break]:
    if read.values(narrow) is not None:
        return
    if lost := read.types(wide) - read.types(narrow):
        yield Break(
            _below(path, "type"), f"{', '.join(sorted(lost))} is not allowed any more", "the same type"
        )
    elif "number" in read.types(wide) and read.only_integers(narrow) and not read.only_integers(wide):
        yield Break(_below(path, "type"), "only integers are allowed now", "number")


def _values_narrowed(wide: read.Schema, narrow: read.Schema, path: str) -> Iterator[Break]:
    now, before = read.values(narrow), read.values(wide)
    if now is None:
        return
    at = _below(path, "const" if "const" in narrow else "enum")
    if before is None:
        yield Break(at, "only listed values are allowed now", "any value, as before")
    elif lost := {*map(read.canonical, before)} - {*map(read.canonical, now)}:
        yield Break(at, f"{len(lost)} values are not allowed any more", "all values of before")


def _unjudged(path: str, keyword: str) -> Break:
    return Break(_below(path, keyword), "changed in a way that can't be judged", "what was there before")


def _definitions(schema: Any) -> list[Any]:
    found = schema if isinstance(schema, Mapping) else {}
    return [found.get("$defs"), found.get("definitions")]


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
