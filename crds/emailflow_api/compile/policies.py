"""Policies: what contacts must have agreed to, and by which provider mails go out."""

from collections.abc import Mapping

from emailflow_api import plans as p
from emailflow_api.compile import later
from emailflow_api.compile.references import not_found
from emailflow_api.compile.report import Report
from emailflow_api.compile.times import check_zone
from emailflow_api.kinds import ContactPolicy


def compile_policy(
    report: Report, policy: ContactPolicy, providers: Mapping[str, p.ProviderPlan]
) -> p.PolicyPlan:
    """The plan of a policy; `providers` are those that can be used."""
    spec = policy.spec
    later.check(report, later.POLICY, spec)
    if spec.quiet_hours is not None:
        check_zone(report, "spec.quietHours.timezone", spec.quiet_hours.timezone)
        check_zone(report, "spec.quietHours.fallbackTimezone", spec.quiet_hours.fallback_timezone)
    provider = spec.provider_ref.name if spec.provider_ref else ""
    if provider and provider not in providers:
        not_found(report, "EmailProvider", "spec.providerRef.name", provider, providers)
    return p.PolicyPlan(
        name=policy.name,
        topic=spec.topic,
        consent=spec.consent or ("None" if spec.transactional else "OptOut"),
        transactional=spec.transactional,
        provider=provider,
    )
