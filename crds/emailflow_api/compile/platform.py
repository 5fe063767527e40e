"""What the platform declares: providers, policies, event types, and the runtime itself."""

import json
from typing import Any

import jsonschema_rs

from emailflow_api import durations
from emailflow_api import plans as p
from emailflow_api.compile.later import refuse, warn
from emailflow_api.compile.report import Report
from emailflow_api.compile.steps import address
from emailflow_api.expressions import Result, Scope
from emailflow_api.kinds import ContactPolicy, EmailProvider, EmailRuntime, EventType
from emailflow_api.kinds.reference import SecretKeyReference
from emailflow_api.kinds.transport import Smtp

DELIVER = "emailflow.dev/deliver"
"""Annotation of an EmailProvider: with `"true"`, `emailflow dev` really sends through it."""


def _secret(namespace: str, reference: SecretKeyReference | None) -> p.SecretKey | None:
    return p.SecretKey(namespace, reference.name, reference.key) if reference else None


def compile_provider(report: Report, provider: EmailProvider, *, laptop: bool) -> p.ProviderPlan:
    """The plan of a provider; on a laptop it is the mail catcher unless it is told otherwise."""
    spec, namespace = provider.spec, provider.namespace
    caught = laptop and provider.metadata.annotations.get(DELIVER) != "true"
    if spec.smtp is None and not caught:
        refuse(report, "spec.type", f"the provider type {spec.type}", "Smtp")
    if spec.failover:
        warn(report, "spec.failover", "failover")
    if spec.rate.warmup:
        warn(report, "spec.rate.warmup", "warmup")
    if spec.feedback:
        warn(report, "spec.feedback", "feedback")
    transport: p.Transport = p.Catcher()
    if spec.smtp is not None and not caught:
        transport = _smtp(namespace, spec.smtp)
    dkim = None
    if spec.dkim is not None and not caught:
        key = p.SecretKey(namespace, spec.dkim.key_secret_ref.name, spec.dkim.key_secret_ref.key)
        dkim = p.Dkim(spec.dkim.domain, spec.dkim.selector, key)
    return p.ProviderPlan(
        namespace=namespace,
        name=provider.name,
        transport=transport,
        sender=address(spec.from_),
        dkim=dkim,
        rate=p.Rate(
            per_second=spec.rate.per_second or 0,
            burst=spec.rate.burst or 0,
            concurrency=spec.rate.concurrency,
            per_domain=tuple(p.DomainRate(each.domain, each.per_second) for each in spec.rate.per_domain),
        ),
        retry=p.Retry(
            spec.retry.max_attempts, spec.retry.backoff, spec.retry.max_backoff, spec.retry.give_up_after
        ),
        on_unknown=spec.on_unknown or "",
        suspend=spec.suspend,
    )


def _smtp(namespace: str, smtp: Smtp) -> p.Smtp:
    return p.Smtp(
        host=smtp.host,
        port=smtp.port or (465 if smtp.tls == "Implicit" else 587),
        tls=smtp.tls,
        username=smtp.username or "",
        password=_secret(namespace, smtp.password_secret_ref),
        ca=_secret(namespace, smtp.ca_secret_ref),
        hello=smtp.hello or "",
    )


def compile_policy(report: Report, policy: ContactPolicy) -> p.PolicyPlan:
    """The plan of a policy."""
    spec = policy.spec
    not_yet = {"caps": spec.caps, "quietHours": spec.quiet_hours, "complaints": spec.complaints}
    for member, declared in not_yet.items():
        if declared:
            warn(report, f"spec.{member}", member)
    return p.PolicyPlan(
        name=policy.name,
        topic=spec.topic,
        consent=spec.consent or ("None" if spec.transactional else "OptOut"),
        transactional=spec.transactional,
        provider=spec.provider_ref.name if spec.provider_ref else "",
    )


def compile_event_type(report: Report, event_type: EventType) -> p.EventTypePlan:
    """The contract of a CloudEvents type."""
    spec = event_type.spec
    mapping = None
    if spec.contact is not None:

        def text(member: str, value: str | None) -> str:
            return report.expression(f"spec.contact.{member}", value, Scope.MAPPING, Result.STRING)

        contact = spec.contact
        mapping = p.ContactMapping(
            id=text("id", contact.id),
            email=text("email", contact.email),
            name=text("name", contact.name),
            locale=text("locale", contact.locale),
            timezone=text("timezone", contact.timezone),
            traits={
                name: report.expression(f"spec.contact.traits.{name}", value, Scope.MAPPING, Result.ANY)
                for name, value in contact.traits.items()
            },
        )
    schema = ""
    if spec.data_schema is not None:
        _check_schema(report, spec.data_schema)
        schema = json.dumps(spec.data_schema, sort_keys=True, separators=(",", ":"))
    return p.EventTypePlan(
        name=event_type.name,
        type=spec.type,
        schema=schema,
        on_invalid=spec.on_invalid,
        contact=mapping,
        sensitive=tuple(spec.sensitive),
    )


def _check_schema(report: Report, schema: dict[str, Any]) -> None:
    try:
        jsonschema_rs.validator_for(schema, retriever=_refuse)
    except ValueError as error:
        first = str(error).splitlines()[0]
        report.error("InvalidSchema", "spec.schema", first, "JSON Schema, with references to itself only")


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is outside the schema")


def compile_runtime(report: Report, runtime: EmailRuntime) -> p.RuntimePlan:
    """The plan of a runtime, defaults filled in."""
    spec = runtime.spec
    report.attempt("spec.defaults.timezone", lambda: durations.zone_of(spec.defaults.timezone))
    if spec.delivery.mode != "Live":
        refuse(report, "spec.delivery.mode", f"delivery mode {spec.delivery.mode}", "Live")
    return p.RuntimePlan(
        namespace=runtime.namespace,
        name=runtime.name,
        shards=spec.shards or 1,
        public_url=str(spec.public_url or ""),
        keys=_secret(runtime.namespace, spec.keys_secret_ref),
        default_provider=spec.defaults.provider_ref.name if spec.defaults.provider_ref else "",
        default_policy=spec.defaults.policy_ref.name if spec.defaults.policy_ref else "",
        default_locale=spec.defaults.locale,
        default_timezone=spec.defaults.timezone,
        retention_events=spec.retention.events,
        retention_dedupe=spec.retention.dedupe,
        retention_dead_letters=spec.retention.dead_letters,
        max_body_bytes=spec.door.max_body_bytes,
        unknown_types=spec.door.unknown_types,
        suspend=spec.suspend,
    )
