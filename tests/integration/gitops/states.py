"""Brings objects into each state that a user may see, with the real operator and a real runtime.

The dumps below deploy/argocd come from here: with EMAILFLOW_WRITE_TESTDATA=1 in the environment the test that
holds them to the API server's answers writes them instead.
"""

from collections.abc import Callable
from typing import Any

from tests.integration.operator.conftest import FLOW, TEMPLATE, runtime, until

BROKEN_FLOW = FLOW.replace("name: hello}", "name: broken}", 1).replace(
    "spec:", 'spec:\n  continueIf: "contact.traits.plan !="'
)
WAITING_FLOW = FLOW.replace("name: hello}", "name: waiting}", 1).replace(
    "templateRef: {name: hello}", "templateRef: {name: elsewhere}"
)
SUSPENDED_FLOW = FLOW.replace("name: hello}", "name: suspended}", 1).replace(
    "spec:", "spec:\n  suspend: true"
)
MORE = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: broken}
spec: {subject: "Hello {{ event.data.name", markdown: "Hi"}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: suspended}
spec: {type: Smtp, smtp: {host: 127.0.0.1}, from: {address: shop@example.com}, suspend: true}
---
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {name: signed-up}
spec: {type: com.example.signed_up, schema: {type: object, properties: {name: {type: string}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {name: broken}
spec: {type: com.example.broken, schema: {type: nothing}}
"""
POLICY = """
apiVersion: emailflow.dev/v1alpha1
kind: ContactPolicy
metadata: {name: marketing}
spec: {topic: offers, title: [{locale: en, text: Offers}], consent: OptIn}
"""

WHOLE = {
    ("EmailFlow", "hello"): "EmailFlow/testdata/healthy.yaml",
    ("EmailFlow", "suspended"): "EmailFlow/testdata/suspended.yaml",
    ("EmailFlow", "waiting"): "EmailFlow/testdata/progressing_template_not_found.yaml",
    ("EmailFlow", "broken"): "EmailFlow/testdata/degraded_invalid_expression.yaml",
    ("EmailTemplate", "hello"): "EmailTemplate/testdata/healthy.yaml",
    ("EmailTemplate", "broken"): "EmailTemplate/testdata/degraded_syntax_error.yaml",
    ("EmailProvider", "smtp"): "EmailProvider/testdata/healthy.yaml",
    ("EmailProvider", "suspended"): "EmailProvider/testdata/suspended.yaml",
    ("EventType", "signed-up"): "EventType/testdata/healthy.yaml",
    ("EventType", "broken"): "EventType/testdata/degraded_invalid_schema.yaml",
    ("ContactPolicy", "marketing"): "ContactPolicy/testdata/healthy.yaml",
    ("EmailRuntime", "default"): "EmailRuntime/testdata/healthy.yaml",
}
"""The objects of a namespace where all is there; the dump that each is."""
REASONS = {
    ("EmailFlow", "hello"): "Succeeded",
    ("EmailFlow", "suspended"): "Suspended",
    ("EmailProvider", "smtp"): "Succeeded",
}
"""Those that need the runtime's word first."""
PLURALS = {
    "EmailFlow": "emailflows",
    "EmailProvider": "emailproviders",
    "EmailRuntime": "emailruntimes",
    "ContactPolicy": "contactpolicies",
}

Keep = Callable[[str, str, str, str], None]
"""Kind, name, namespace, dump."""


async def whole(space: Any, pod: Any, nats_url: str, mail_port: int, keep: Keep) -> None:
    """A namespace with all that a flow needs, and with what is broken in an object itself."""
    space.apply("---".join([TEMPLATE, MORE, POLICY, runtime(nats_url, smtp=mail_port)]))
    space.apply(f"{FLOW}---{WAITING_FLOW}---{BROKEN_FLOW}---{SUSPENDED_FLOW}")
    await pod.start()
    for (kind, name), reason in REASONS.items():
        await space.becomes(PLURALS[kind], name, ("True", reason))
    for (kind, name), file in WHOLE.items():
        keep(kind, name, space.name, file)


async def runtimes(start: Callable[[], Any], nats_url: str, keep: Keep) -> None:
    """EmailRuntimes that are not well, and one that is suspended, each in a namespace of its own."""
    away, held, other = start(), start(), start()
    away.apply(runtime("nats://127.0.0.1:1"))
    held.apply(runtime(nats_url, ", suspend: true"))
    other.apply(runtime(nats_url))
    await away.becomes("emailruntimes", "default", ("Unknown", "NatsUnreachable"))
    await held.becomes("emailruntimes", "default", ("True", "Suspended"))
    await other.becomes("emailruntimes", "default", ("True", "Succeeded"))
    other.delete("er", "default")

    async def is_gone() -> bool:
        return await other.get("emailruntimes", "default") is None

    assert await until(is_gone)
    other.apply(runtime(nats_url, ", shards: 2"))
    await other.becomes("emailruntimes", "default", ("False", "ShardsDiffer"))
    keep("EmailRuntime", "default", away.name, "EmailRuntime/testdata/progressing_nats_unreachable.yaml")
    keep("EmailRuntime", "default", held.name, "EmailRuntime/testdata/suspended.yaml")
    keep("EmailRuntime", "default", other.name, "EmailRuntime/testdata/degraded_shards_differ.yaml")


async def lonely(space: Any, keep: Keep) -> None:
    """A policy without a runtime."""
    space.apply(POLICY)
    await space.becomes("contactpolicies", "marketing", ("False", "RuntimeNotFound"))
    keep("ContactPolicy", "marketing", space.name, "ContactPolicy/testdata/progressing_no_runtime.yaml")


def unseen(space: Any, keep: Keep) -> None:
    """Objects that no operator has seen: one that is new, and one that was edited since."""
    space.apply(
        FLOW.replace("name: hello}", "name: unseen}", 1) + "---" + TEMPLATE.replace("hello}", "unseen}")
    )
    keep("EmailFlow", "unseen", space.name, "EmailFlow/testdata/progressing_new.yaml")
    keep("EmailTemplate", "unseen", space.name, "EmailTemplate/testdata/progressing_new.yaml")
    space.apply(FLOW.replace("types: [com.example.signed_up]", "types: [com.example.joined]"))
    keep("EmailFlow", "hello", space.name, "EmailFlow/testdata/progressing_edited.yaml")
