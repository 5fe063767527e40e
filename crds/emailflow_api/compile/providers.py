"""Providers: the ways out, and the mail catcher that stands in for them on a laptop."""

import ipaddress

from emailflow_api import plans as p
from emailflow_api.compile import later
from emailflow_api.compile.addresses import addresses, mailbox
from emailflow_api.compile.report import Report
from emailflow_api.compile.times import check_duration
from emailflow_api.kinds import EmailProvider
from emailflow_api.kinds.provider import EmailProviderSpec, Rate, Retry
from emailflow_api.kinds.reference import SecretKeyReference
from emailflow_api.kinds.transport import Smtp
from emailflow_api.plans.permissions import EVERY_DOMAIN

DELIVER = "emailflow.dev/deliver"
"""Annotation of an EmailProvider: with `"true"`, `emailflow dev` really sends through it."""


def secret_key(namespace: str, reference: SecretKeyReference | None) -> p.SecretKey | None:
    """The reference, with the namespace that it is meant in."""
    return p.SecretKey(namespace, reference.name, reference.key) if reference else None


def compile_provider(report: Report, provider: EmailProvider, *, caught: bool) -> p.ProviderPlan:
    """The plan of a provider. `caught`: its mails go to the mail catcher instead."""
    spec, namespace = provider.spec, provider.namespace
    later.check(report, later.PROVIDER, spec, caught=caught)
    transport: p.Transport = p.Catcher()
    if spec.smtp is not None and not caught:
        transport = _smtp(namespace, spec.smtp)
    dkim = None
    if spec.dkim is not None and not caught:
        key = p.SecretKey(namespace, spec.dkim.key_secret_ref.name, spec.dkim.key_secret_ref.key)
        dkim = p.Dkim(spec.dkim.domain, spec.dkim.selector, key)
    if spec.smtp is not None and spec.smtp.tls == "None" and not _is_near(spec.smtp.host):
        report.warning(
            "ClearText", "spec.smtp.tls", "mails go over the network in clear", "StartTls or Implicit"
        )
    return p.ProviderPlan(
        namespace=namespace,
        name=provider.name,
        transport=transport,
        sender=mailbox(report, "spec.from", spec.from_),
        senders=_senders(report, spec, caught=caught),
        dkim=dkim,
        rate=_rate(spec.rate),
        retry=_retry(report, spec.retry),
        on_unknown=spec.on_unknown or "",
        suspend=spec.suspend,
    )


def _senders(report: Report, spec: EmailProviderSpec, *, caught: bool) -> p.Senders:
    """Whom flows and templates may name. A mail that is only caught may come from anybody, where nothing
    is said of that."""
    if spec.senders is not None:
        single = addresses(report, "spec.senders.addresses", spec.senders.addresses)
        return p.Senders(tuple(spec.senders.domains), single)
    if spec.from_ is not None:
        return p.Senders((spec.from_.address.rpartition("@")[2],))
    return p.Senders((EVERY_DOMAIN,) if caught else ())


def _is_near(host: str) -> bool:
    """Whether the host is this pod itself."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _smtp(namespace: str, smtp: Smtp) -> p.Smtp:
    return p.Smtp(
        host=smtp.host,
        port=smtp.port or (465 if smtp.tls == "Implicit" else 587),
        tls=smtp.tls,
        username=smtp.username or "",
        password=secret_key(namespace, smtp.password_secret_ref),
        ca=secret_key(namespace, smtp.ca_secret_ref),
        hello=smtp.hello or "",
    )


def _rate(rate: Rate) -> p.Rate:
    return p.Rate(
        per_second=rate.per_second or 0,
        burst=rate.burst or 0,
        concurrency=rate.concurrency,
        per_domain=tuple(p.DomainRate(each.domain, each.per_second) for each in rate.per_domain),
    )


def _retry(report: Report, retry: Retry) -> p.Retry:
    return p.Retry(
        max_attempts=retry.max_attempts,
        backoff=check_duration(report, "spec.retry.backoff", retry.backoff),
        max_backoff=check_duration(report, "spec.retry.maxBackoff", retry.max_backoff),
        give_up_after=check_duration(report, "spec.retry.giveUpAfter", retry.give_up_after),
    )
