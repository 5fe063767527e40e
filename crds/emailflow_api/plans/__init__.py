"""Plans: resources made ready to run, with every default filled in and every reference resolved.

The operator (or `emailflow dev`) writes them to the KV bucket PLANS, runtimes read them. A plan is
immutable and named by the hash of its content. It holds references to Secrets, never their values.
Nothing here may depend on how a plan was made.
"""

import msgspec

from emailflow_api.plans.base import Address, content_hash, encode
from emailflow_api.plans.program import (
    END,
    AllOf,
    AnyOf,
    Attachment,
    Branch,
    Case,
    Cel,
    End,
    Exact,
    Exit,
    Filter,
    Not,
    Prefix,
    Program,
    Send,
    Step,
    Suffix,
    Trigger,
    Until,
    Wait,
)
from emailflow_api.plans.resources import (
    Cap,
    Catcher,
    ContactMapping,
    Delivery,
    Dkim,
    DomainRate,
    EventTypePlan,
    FilePlan,
    FlowPlan,
    LocalizedBody,
    PolicyPlan,
    ProviderPlan,
    QuietHours,
    Rate,
    Retry,
    RuntimePlan,
    SecretKey,
    Senders,
    Smtp,
    TemplatePlan,
    Transport,
)

__all__ = [
    "END",
    "Address",
    "AllOf",
    "AnyOf",
    "Attachment",
    "Branch",
    "Cap",
    "Case",
    "Catcher",
    "Cel",
    "ContactMapping",
    "Delivery",
    "Dkim",
    "DomainRate",
    "End",
    "EventTypePlan",
    "Exact",
    "Exit",
    "FilePlan",
    "Filter",
    "FlowPlan",
    "LocalizedBody",
    "Not",
    "Plans",
    "PolicyPlan",
    "Prefix",
    "Program",
    "ProviderPlan",
    "QuietHours",
    "Rate",
    "Retry",
    "RuntimePlan",
    "SecretKey",
    "Send",
    "Senders",
    "Smtp",
    "Step",
    "Suffix",
    "TemplatePlan",
    "Transport",
    "Trigger",
    "Until",
    "Wait",
    "content_hash",
    "encode",
]


class Plans(msgspec.Struct, rename="camel"):
    """What one runtime serves: flows and templates by `namespace/name`, programs by revision, others by
    name, event types by CloudEvents type, files by `namespace/name/key`."""

    runtime: RuntimePlan
    flows: dict[str, FlowPlan] = {}
    programs: dict[str, Program] = {}
    templates: dict[str, TemplatePlan] = {}
    providers: dict[str, ProviderPlan] = {}
    policies: dict[str, PolicyPlan] = {}
    event_types: dict[str, EventTypePlan] = {}
    files: dict[str, FilePlan] = {}
