"""Injection into manifests, as text: for those who want to see in git what runs.

Documents that don't change are handed back letter by letter. One that does is written anew, so its comments
are lost; a second run changes nothing. Pure: no file is opened here.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from emailflow_api.reading import Document, read_documents
from emailflow_api.reading.scalars import resolve
from emailflow_operator.injection.injector import Injector
from emailflow_operator.injection.wishes import InjectionRefused

_SEPARATOR = re.compile(r"^---[^\n]*(?:\n|\Z)", re.MULTILINE)
_TEMPLATES = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where a kind keeps its pod."""


class Injected(NamedTuple):
    """The text with sidecars, and what a person should know."""

    text: str
    warnings: list[str]


def inject_manifests(text: str, name: str, injector: Injector, namespace: str) -> Injected:
    """The manifests in `text` with sidecars where pods ask for them.

    `name` is what messages call the text; `namespace` is where documents without one go. Raises InvalidYaml,
    and InjectionRefused with the document's name.
    """
    warnings: list[str] = []
    made, position = [], 0
    for separator in [*_SEPARATOR.finditer(text), None]:
        end = separator.start() if separator else len(text)
        made.append(_chunk(text[position:end], name, injector, namespace, warnings))
        if separator is None:
            break
        made.append(separator[0])
        position = separator.end()
    return Injected("".join(made), warnings)


def _chunk(text: str, name: str, injector: Injector, namespace: str, warnings: list[str]) -> str:
    documents = read_documents(text, name)
    results = [_document(each, injector, namespace, warnings) for each in documents]
    if all(result is None for result in results):
        return text
    values = [result or document.value for result, document in zip(results, documents, strict=True)]
    return "---\n".join(_written(value) for value in values)


def _document(
    document: Document, injector: Injector, namespace: str, warnings: list[str]
) -> dict[str, Any] | None:
    """The document with the sidecar, or None where nothing changes."""
    path = _TEMPLATES.get(document.kind)
    if path is None:
        return None
    pod: Any = document.value
    for part in path:
        pod = pod.get(part) if isinstance(pod, Mapping) else None
    if not isinstance(pod, Mapping):
        return None
    metadata = document.value.get("metadata")
    own = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    what = f"{document.kind}/{document.name or '?'}"
    try:
        injection = injector.inject(pod, own if isinstance(own, str) else namespace)
    except InjectionRefused as refused:
        raise InjectionRefused(f"{what}: {refused}") from None
    if injection.warning:
        warnings.append(f"{what}: {injection.warning}")
    return _replaced(document.value, path, injection.pod) if injection.patch else None


def _replaced(value: Mapping[str, Any], path: tuple[str, ...], pod: dict[str, Any]) -> dict[str, Any]:
    if not path:
        return pod
    return {**value, path[0]: _replaced(value[path[0]], path[1:], pod)}


class _Dumper(yaml.SafeDumper):
    """Writes YAML that `kubectl` reads back as the same JSON."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Aliases would be right, and surprise everybody."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # PyYAML's idea of what is a number differs from go-yaml's (1e3, 0o7): quote what that would misread.
    style = '"' if resolve(value) != value else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _written(value: Mapping[str, Any]) -> str:
    return yaml.dump(dict(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
