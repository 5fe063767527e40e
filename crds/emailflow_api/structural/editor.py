"""JSON Schemas (draft-07) for editors: what `# yaml-language-server: $schema=…` in a manifest points to.

They say what the definitions say, and besides refuse unknown fields, which a cluster reports or prunes.
"""

from collections.abc import Mapping
from typing import Any

from emailflow_api.kinds.metadata import Document
from emailflow_api.structural.schema import Schema, inlined_schema


def json_schema(kind: type[Document]) -> Schema:
    """The kind's JSON Schema, in the layout that catalogs of schemas use."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": kind.__name__} | _plain(
        inlined_schema(kind)
    )


def _plain(schema: Mapping[str, Any]) -> Schema:
    """One node and what lies below it, without Kubernetes' own words."""
    node = {name: value for name, value in schema.items() if not name.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        node["type"] = ["integer", "string"]
    for name in ("items", "additionalProperties"):
        if isinstance(node.get(name), Mapping):
            node[name] = _plain(node[name])
    if "properties" in node:
        node["properties"] = {name: _plain(child) for name, child in node["properties"].items()}
    return node
