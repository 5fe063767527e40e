"""Runtimes: which one is compiled for, which flows it serves, and its own settings."""

from collections.abc import Mapping

import msgspec

from emailflow_api import plans as p
from emailflow_api.allowed import Labels, allows, granted, not_allowed
from emailflow_api.compile import later
from emailflow_api.compile.addresses import check_address
from emailflow_api.compile.documents import Sorted
from emailflow_api.compile.providers import secret_key
from emailflow_api.compile.report import Report
from emailflow_api.compile.times import check_duration, check_zone
from emailflow_api.kinds import API_VERSION, EmailFlow, EmailRuntime
from emailflow_api.plans import permissions

Key = tuple[str, str]
"""Namespace and name."""


class Chosen(msgspec.Struct, frozen=True):
    """The runtime that is compiled for. `there`: it is usable. `implied`: no document declares one, so it
    stands for whichever runtime the flows mean."""

    runtime: EmailRuntime
    there: bool = True
    implied: bool = False


def choose(found: Sorted, wanted: Key | None, *, laptop: bool) -> Chosen:
    """The runtime that is wanted, else the first by name. On a laptop without any, one is implied: it has
    the name that the first flow gives it, and is everybody's."""
    runtimes = {(each.namespace, each.name): each for each in found.of(EmailRuntime)}
    if wanted is not None:
        known = runtimes.get(wanted)
        return Chosen(known) if known else Chosen(blank(wanted), there=False)
    if runtimes:
        return Chosen(runtimes[min(runtimes)])
    if broken := sorted(found.broken(EmailRuntime)):
        return Chosen(blank(broken[0]), there=laptop, implied=laptop)
    meant = sorted(map(runtime_of, found.of(EmailFlow)))
    return Chosen(blank(meant[0] if meant else ("default", "default")), there=laptop, implied=laptop)


def blank(key: Key) -> EmailRuntime:
    """A runtime that says nothing: every default holds."""
    namespace, name = key
    return EmailRuntime.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "EmailRuntime",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {},
        }
    )


def runtime_of(flow: EmailFlow) -> Key:
    """The runtime that a flow means: its `runtimeRef`, else `default` in its own namespace."""
    reference = flow.spec.runtime_ref
    if reference is None:
        return flow.namespace, "default"
    return reference.namespace or flow.namespace, reference.name


def check_allowed(report: Report, namespace: str, runtime: EmailRuntime, labels: Mapping[str, str]) -> None:
    """Report a flow whose namespace (with these labels) the runtime does not let in."""
    if namespace != runtime.namespace and not allows(runtime.spec.allowed_namespaces, labels):
        report.findings.append(not_allowed(report.subject, (runtime.namespace, runtime.name), namespace))


def warn_of_no_links(report: Report, runtime: EmailRuntime) -> None:
    """Report a runtime that is in nobody's reach. A laptop knows its own URL."""
    if not runtime.spec.public_url:
        report.warning(
            "PublicUrlMissing",
            "spec.publicUrl",
            "mails carry no links and no List-Unsubscribe",
            "the URL under which people reach the runtime",
        )


def warn_of_what_nobody_sees(report: Report, runtime: EmailRuntime) -> None:
    """Report mails that are captured where there is no inbox page. A laptop has one."""
    if runtime.spec.delivery.mode == "Capture":
        report.warning(
            "CapturedUnseen",
            "spec.delivery.mode",
            "mails are composed and kept nowhere: only their facts (skipped, Captured) tell of them",
            "Redirect, to see them",
        )


def warn_of_an_open_receiver(report: Report, runtime: EmailRuntime) -> None:
    """Report a receiver that asks nobody for a token. A laptop's is on loopback only."""
    if runtime.spec.receiver.anonymous:
        report.warning(
            "ReceiverAnonymous",
            "spec.receiver.anonymous",
            "whoever reaches the receiver may send events, about anyone",
            "receiver.serviceAccounts or receiver.tokensSecretRef",
        )


def compile_runtime(report: Report, chosen: Chosen, namespaces: Labels) -> p.RuntimePlan:
    """The plan of a runtime, defaults filled in; what is wrong is in the report. `namespaces` are the
    labels of those that there are. One that is implied is everybody's, since nothing says whose it is."""
    runtime, spec = chosen.runtime, chosen.runtime.spec
    everybody = (permissions.EVERY_NAMESPACE,) if chosen.implied else ()
    allowed = everybody or granted(spec.allowed_namespaces, namespaces)
    later.check(report, later.RUNTIME, spec)
    check_zone(report, "spec.defaults.timezone", spec.defaults.timezone)
    if spec.delivery.to:
        check_address(report, "spec.delivery.to", spec.delivery.to)
    for member in ("events", "dedupe", "dead_letters"):
        path = "spec.retention." + member.replace("_l", "L")
        check_duration(report, path, getattr(spec.retention, member))
    return p.RuntimePlan(
        namespace=runtime.namespace,
        name=runtime.name,
        shards=spec.shards or 1,
        public_url=spec.public_url or "",
        keys=secret_key(runtime.namespace, spec.keys_secret_ref),
        default_provider=spec.defaults.provider_ref.name if spec.defaults.provider_ref else "default",
        default_policy=spec.defaults.policy_ref.name if spec.defaults.policy_ref else "",
        default_locale=spec.defaults.locale,
        default_timezone=spec.defaults.timezone,
        retention_events=spec.retention.events,
        retention_dedupe=spec.retention.dedupe,
        retention_dead_letters=spec.retention.dead_letters,
        max_body_bytes=spec.receiver.max_body_bytes,
        unknown_types=spec.receiver.unknown_types,
        service_accounts=bool(spec.receiver.service_accounts),
        namespaces=allowed if permissions.EVERY_NAMESPACE in allowed else _with(runtime.namespace, allowed),
        undeclared_readers=everybody,
        delivery=p.Delivery(spec.delivery.mode, spec.delivery.to or ""),
        suspend=spec.suspend,
    )


def _with(namespace: str, others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({namespace, *others}))
