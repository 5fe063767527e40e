"""A condition as Kubernetes defines it (metav1.Condition). Which conditions exist, and how they change, is
said in `emailflow_api.conditions`.
"""

from typing import Annotated, Literal

from pydantic import Field

from emailflow_api.kinds.model import Status
from emailflow_api.kinds.rule import KeyedBy
from emailflow_api.kinds.text import Timestamp


class Condition(Status):
    """One aspect of an object's state, as its controller last saw it."""

    type: Annotated[str, Field(min_length=1, max_length=316)]
    """What the condition is about, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[
        str, Field(min_length=1, max_length=1024, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    ]
    """One CamelCase word for programs; the reasons are part of the API."""
    message: Annotated[str, Field(max_length=32_768)]
    """A sentence for people."""
    last_transition_time: Timestamp
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that the condition is about."""


class ConditionedStatus(Status):
    """What every status has: the generation it is about, and its conditions (kstatus reads both)."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that the operator last acted on."""
    conditions: Annotated[list[Condition], Field(max_length=16), KeyedBy("type")] = []
    """Ready always; Reconciling and Stalled only while they hold."""
