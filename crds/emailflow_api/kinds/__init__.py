"""The kinds of `emailflow.dev/v1alpha1`, one pydantic module each, and `parse`, the way in for documents.

The models are the source of the CustomResourceDefinitions, of the editors' JSON Schemas and of the field
reference. A model says only what one object shows by itself; what depends on others is `compile`'s.
"""

from emailflow_api.kinds.contact_policy import ContactPolicy
from emailflow_api.kinds.event_type import EventType
from emailflow_api.kinds.flow import EmailFlow
from emailflow_api.kinds.flow_test import FlowTest
from emailflow_api.kinds.metadata import API_VERSION, GROUP, VERSION, Document, Resource
from emailflow_api.kinds.parse import InvalidResource, read
from emailflow_api.kinds.provider import EmailProvider
from emailflow_api.kinds.runtime import EmailRuntime
from emailflow_api.kinds.template import EmailTemplate

RESOURCES: dict[str, type[Resource]] = {
    "EmailFlow": EmailFlow,
    "EmailTemplate": EmailTemplate,
    "EmailProvider": EmailProvider,
    "EventType": EventType,
    "ContactPolicy": ContactPolicy,
    "EmailRuntime": EmailRuntime,
}
"""The kinds that live in a cluster, by name."""

KINDS: dict[str, type[Document]] = {**RESOURCES, "FlowTest": FlowTest}
"""All kinds by name, those of files too."""


def parse(document: object) -> Document:
    """The document as the model of its kind.

    Raises InvalidResource, whose `findings` say at once all that is wrong with it.
    """
    return read(document, KINDS)


__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "RESOURCES",
    "VERSION",
    "ContactPolicy",
    "Document",
    "EmailFlow",
    "EmailProvider",
    "EmailRuntime",
    "EmailTemplate",
    "EventType",
    "FlowTest",
    "InvalidResource",
    "Resource",
    "parse",
]
