"""What all resources have in common: apiVersion, kind, metadata, and how they are defined in a cluster.

Kubernetes owns `metadata`; only what EmailFlow reads of it is named here, and the rest passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.text import ObjectName

GROUP = "emailflow.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Marks = Annotated[dict[str, str], Field(max_length=256)]
"""Labels or annotations of objects, as the API server let them in."""


class ObjectMeta(ApiModel):
    """Standard object metadata."""

    model_config = ConfigDict(extra="ignore")

    name: ObjectName
    """Name, unique among objects of this kind in the namespace: a DNS label (no dots)."""
    namespace: ObjectName | None = None
    """Namespace. Absent in files: the one that they are applied to."""
    labels: Marks = Field(default_factory=dict)
    """Labels to select objects by."""
    annotations: Marks = Field(default_factory=dict)
    """Annotations for people and tools."""
    generation: int = 0
    """Counts changes of the spec; set by the API server."""
    uid: str = ""
    """Identity of this one object; set by the API server."""


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; `priority` 1 shows it with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0


def ready_columns(*columns: Column) -> tuple[Column, ...]:
    """The columns that every kind shows, around a kind's own."""
    condition = '.status.conditions[?(@.type=="Ready")]'
    return (
        Column("Ready", f"{condition}.status"),
        Column("Reason", f"{condition}.reason"),
        *columns,
        Column("Message", f"{condition}.message", priority=1),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    )


@dataclass(frozen=True)
class Definition:
    """What a CustomResourceDefinition says besides the schema. `scale` maps the scale subresource's paths."""

    plural: str
    short: str
    columns: tuple[Column, ...]
    scale: Mapping[str, str] | None = None


class Document(ApiModel):
    """A document of the API: also one, like a FlowTest, that no cluster knows."""

    api_version: Literal["emailflow.dev/v1alpha1"]
    """Group and version of the API: emailflow.dev/v1alpha1."""
    metadata: ObjectMeta
    """Standard object metadata."""

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name


class Resource(Document):
    """Base of the kinds that live in a cluster, all of them in a namespace."""

    definition: ClassVar[Definition]

    @property
    def namespace(self) -> str:
        """metadata.namespace, `default` where a file has none."""
        return self.metadata.namespace or "default"
