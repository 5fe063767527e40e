"""Consent: what an address has said about a topic, and whether a policy may mail it then."""

import msgspec

from emailflow_api.plans import PolicyPlan

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
