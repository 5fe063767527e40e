"""Policies: what contacts must have agreed to, and by which provider mails go out."""

from collections.abc import Mapping

from emailflow_api import plans as p
from emailflow_api.allowed import Labels, granted
from emailflow_api.compile import later
from emailflow_api.compile.references import not_found
from emailflow_api.compile.report import Report
from emailflow_api.compile.times import check_duration, check_zone
from emailflow_api.kinds import ContactPolicy
from emailflow_api.kinds.contact_policy import QuietHours


def compile_policy(
    report: Report, policy: ContactPolicy, providers: Mapping[str, p.ProviderPlan], namespaces: Labels
) -> p.PolicyPlan:
    """The plan of a policy; `providers` are those that can be used, `namespaces` the labels of each."""
    spec = policy.spec
    later.check(report, later.POLICY, spec)
    if spec.quiet_hours is not None:
        check_zone(report, "spec.quietHours.timezone", spec.quiet_hours.timezone)
        check_zone(report, "spec.quietHours.fallbackTimezone", spec.quiet_hours.fallback_timezone)
    for index, cap in enumerate(spec.caps):
        check_duration(report, f"spec.caps[{index}].per", cap.per)
    provider = spec.provider_ref.name if spec.provider_ref else ""
    if provider and provider not in providers:
        not_found(report, "EmailProvider", "spec.providerRef.name", provider, providers)
    return p.PolicyPlan(
        name=policy.name,
        topic=spec.topic,
        consent=spec.consent or ("None" if spec.transactional else "OptOut"),
        transactional=spec.transactional,
        caps=tuple(p.Cap(cap.max, cap.per, cap.counting or "Rolling") for cap in spec.caps),
        on_capped=spec.on_capped,
        quiet_hours=_quiet_hours(spec.quiet_hours),
        provider=provider,
        users=granted(spec.users, namespaces),
        other_recipients=spec.other_recipients,
    )


def _quiet_hours(declared: QuietHours | None) -> p.QuietHours | None:
    if declared is None:
        return None
    return p.QuietHours(
        start=declared.from_,
        to=declared.to,
        days=tuple(declared.days),
        timezone=declared.timezone,
        fallback_timezone=declared.fallback_timezone or "",
        action=declared.action,
    )
