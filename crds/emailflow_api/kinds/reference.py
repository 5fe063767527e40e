"""How one object names another, or a key of a Secret or ConfigMap.

A reference never says which kind it means: the field's own name does (`templateRef`).
"""

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.text import Key, ObjectName, SubdomainName


class ObjectReference(ApiModel):
    """An object by its name, in the one namespace where objects of its kind count for the referrer."""

    name: ObjectName
    """Name of the object."""


class RuntimeReference(ApiModel):
    """An EmailRuntime, maybe in another namespace, if its allowedNamespaces lets this one in."""

    name: ObjectName = "default"
    """Name of the EmailRuntime."""
    namespace: ObjectName | None = None
    """Its namespace. Absent: the object's own."""


class SecretKeyReference(ApiModel):
    """A key of a Secret in the object's own namespace."""

    name: SubdomainName
    """Name of the Secret."""
    key: Key
    """The key whose value is meant."""


class ConfigMapKeyReference(ApiModel):
    """A key of a ConfigMap in the object's own namespace."""

    name: SubdomainName
    """Name of the ConfigMap."""
    key: Key
    """The key whose value is meant."""
