"""What an EmailRuntime lets one say about its pods: the few parts of a pod's own API that fit.

The shapes are Kubernetes' (core/v1); nothing of ours is added.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.text import QUANTITY, Name, Quantity


def _number_or_text(value: Any, text: ValidatorFunctionWrapHandler) -> str:
    return str(text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value))


ResourceQuantity = Annotated[
    Quantity,
    WrapValidator(_number_or_text),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY, "maxLength": 32}),
]
Quantities = Annotated[dict[str, ResourceQuantity], Field(max_length=16)]


Labels = Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=64)]
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=16_384)]], Field(max_length=64)]


class Resources(ApiModel):
    """Compute resources (core/v1 ResourceRequirements)."""

    limits: Quantities = {}
    """At most this much, such as memory: 512Mi."""
    requests: Quantities = {}
    """Reserved for the pod."""


class Toleration(ApiModel):
    """A taint that the pod puts up with (core/v1 Toleration)."""

    key: Name | None = None
    """The taint's key. Absent, with operator Exists: every taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """How the value is compared. Absent: Equal."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect. Absent: every one."""
    toleration_seconds: int | None = None
    """With NoExecute: how long. Absent: for ever."""


class Pod(ApiModel):
    """Settings of the runtime's pods."""

    resources: Resources = Field(default_factory=Resources)
    """Compute resources."""
    node_selector: Labels = {}
    """Labels that the node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=50)] = []
    """Taints that the pods put up with."""
    annotations: Annotations = {}
    """More annotations of the pods."""
    labels: Labels = {}
    """More labels of the pods."""
