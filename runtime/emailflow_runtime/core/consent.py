"""Consent: what an address has said about a topic, and whether a policy may mail it then."""

import msgspec

from emailflow_api.plans import PolicyPlan
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.links import Link

EVERYTHING = "*"
"""The topic of somebody who wants no mail at all, and of flows without a policy."""


class Consent(msgspec.Struct, frozen=True):
    """By topic: True has subscribed, False has unsubscribed; a topic that is absent was never asked."""

    topics: dict[str, bool] = {}


def allows(policy: PolicyPlan | None, consent: Consent) -> str:
    """Empty when a mail under this policy may go out, else the reason why not.

    A transactional policy asks for no consent. Without a policy, only a full unsubscription counts.
    """
    if policy is not None and (policy.transactional or policy.consent == "None"):
        return ""
    if consent.topics.get(EVERYTHING) is False:
        return "Unsubscribed"
    if policy is None:
        return ""
    said = consent.topics.get(policy.topic)
    if said is False:
        return "Unsubscribed"
    if said is None and policy.consent != "OptOut":
        return "NoConsent"
    return ""


SUBSCRIBED = "dev.emailflow.contact.subscribed"
UNSUBSCRIBED = "dev.emailflow.contact.unsubscribed"


class Said(msgspec.Struct, frozen=True):
    """What an address said about a topic."""

    address: str
    topic: str
    subscribed: bool


def read_consent(event: CloudEvent) -> Said | None:
    """What the event says about consent, None when it is about something else."""
    if event.type not in (SUBSCRIBED, UNSUBSCRIBED) or event.data is None:
        return None
    body = msgspec.json.decode(event.data, type=dict[str, str])
    return Said(body["address"], body["topic"], event.type == SUBSCRIBED)


def unsubscription(link: Link, *, runtime: str, time: str) -> CloudEvent:
    """The event of somebody following a mail's unsubscribe link. The same link always gives the same
    event, so that a second click is a repeat. `runtime` is its id, `time` RFC 3339."""
    body = {"address": link.address, "topic": link.topic, "mail": link.mail}
    return CloudEvent(
        id=f"{link.mail}-unsubscribed-{link.topic}",
        source=f"/emailflow/{runtime.replace('_', '/')}/links",
        type=UNSUBSCRIBED,
        subject=link.contact,
        time=time,
        datacontenttype="application/json",
        data=msgspec.json.encode(body),
    )
