"""Certificates that the operator makes itself, kept in one Secret that all replicas share.

Whoever finds a step due takes it; the Secret's resourceVersion decides between two, and the other reads
again. Only the leader writes `caBundle` into the webhook configurations, and nothing else of them: by
server-side apply, under a field manager of its own. An authority's private key never leaves the Secret.
"""

import asyncio
import base64
import binascii
import logging
import secrets
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from emailflow_operator.admission.certificate_making import Material, look, make, read_material, split
from emailflow_operator.admission.certificate_policy import Lifetimes, Step, next_step
from emailflow_operator.admission.serving import InvalidCertificate, Serving
from emailflow_operator.errors import KubernetesRefused, OperatorError

SECRET = "emailflow-webhook-tls"  # noqa: S105 - a Secret's name
FIELD_MANAGER = "emailflow-certificates"
LOOK_EVERY = 15.0
LEAD_EVERY = 1.0
"""How often it is looked who leads."""
_GROUP = "admissionregistration.k8s.io/v1"
CONFIGURATIONS = (
    ("ValidatingWebhookConfiguration", "emailflow"),
    ("MutatingWebhookConfiguration", "emailflow-injector"),
)
"""Kind and name of what the chart installs."""

log = logging.getLogger(__name__)


class Kubernetes(Protocol):
    """What is needed of the Kubernetes API. Calls raise KubernetesRefused and KubernetesUnreachable."""

    async def get(self, path: str) -> dict[str, Any] | None:
        """An object, None when there is none."""

    async def apply(self, value: dict[str, Any], *, manager: str, force: bool = True) -> dict[str, Any]:
        """Server-side apply; a resourceVersion in it must still be current, and without `force` no other
        manager may have said otherwise (409)."""


class Place(NamedTuple):
    """Where the Secret is, under which names its server is called, and what of Kubernetes' is to trust it."""

    namespace: str
    names: frozenset[str]
    configurations: tuple[tuple[str, str], ...] = CONFIGURATIONS
    secret: str = SECRET


def service_names(service: str, namespace: str) -> frozenset[str]:
    """The names under which a Service is called: the API server uses the first."""
    return frozenset({f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local"})


def _wall_clock() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - certificates begin and end by the wall clock


class CertificateSecret:
    """Self-made certificates. `leads` says whether this replica writes the configurations now."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        place: Place,
        leads: Callable[[], bool],
        *,
        lives: Lifetimes | None = None,
        now: Callable[[], datetime] = _wall_clock,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._kubernetes = kubernetes
        self._place = place
        self._leads = leads
        self._lives = lives or Lifetimes()
        self._now = now
        self._look_every = look_every
        self._serving = Serving()
        self._led = False

    @property
    def context(self) -> ssl.SSLContext:
        """See Certificates."""
        return self._serving.context

    async def start(self) -> None:
        """See Certificates. Raises KubernetesRefused, KubernetesUnreachable, InvalidCertificate."""
        await self.look()

    async def follow(self) -> None:
        """See Certificates. What fails is tried again; certificates are renewed long before they end."""
        while True:
            await self._pause()
            try:
                await self.look()
            except OperatorError as error:
                log.warning("certificates: %s", error, extra={"reason": error.reason})

    async def _pause(self) -> None:
        """Until the next look: at once when the lead has become ours, so that somebody publishes."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._look_every
        while loop.time() < until and self._leads() == self._led:  # noqa: ASYNC110 - the lead is asked for
            await asyncio.sleep(min(LEAD_EVERY, self._look_every))

    async def look(self) -> Material:
        """Take the steps that are due, serve with what the Secret holds, and publish it if we lead."""
        self._led = self._leads()
        configurations = await self._configurations()
        material = await self._settled_material(configurations)
        if self._led:
            await self._publish(configurations, material.bundle)
        if self._serving.load(material.certificate, material.key):
            log.info("Secret %s: a new certificate", self._place.secret)
        return material

    async def _settled_material(self, configurations: Iterable[Mapping[str, Any]]) -> Material:
        """What the Secret holds once no step is due. Raises InvalidCertificate when that never comes."""
        for _ in range(10):
            secret = await self._kubernetes.get(self._path)
            material = read_material(_decoded(secret or {}))
            held = look(material) if material else None
            published = material is not None and _is_published(configurations, material.authorities[-1:])
            now = self._now()
            step = next_step(held, now, self._place.names, self._lives.settle, published=published)
            if step is Step.KEEP and material is not None:
                return material
            log.info("certificates: %s", step.value)
            made = make(step, material, self._place.names, now, self._lives)
            await self._write(secret, made)
        raise InvalidCertificate(
            f"Secret {self._place.namespace}/{self._place.secret}: others keep changing it"
        )

    async def _write(self, secret: Mapping[str, Any] | None, material: Material) -> None:
        """Keep it, unless another replica was first: its word stands, and is read next.

        By server-side apply, since only that lets a Role name a Secret that isn't there yet. Of two replicas
        that create it at once, the second finds the first one's word under another manager.
        """
        metadata = {
            "name": self._place.secret,
            "namespace": self._place.namespace,
            "labels": {"app.kubernetes.io/part-of": "emailflow"},
        }
        kind, manager = "kubernetes.io/tls", f"{FIELD_MANAGER}-{secrets.token_hex(4)}"
        if secret is not None:
            manager = FIELD_MANAGER
            metadata["resourceVersion"] = secret["metadata"]["resourceVersion"]
            kind = secret.get("type", kind)
        data = {name: base64.b64encode(value).decode() for name, value in material.as_data().items()}
        value = {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "data": data}
        try:
            await self._kubernetes.apply(value, manager=manager, force=secret is not None)
        except KubernetesRefused as refused:
            if refused.status != 409:
                raise
            log.info("another replica has written the certificates first")

    async def _configurations(self) -> list[dict[str, Any]]:
        """The webhook configurations that there are."""
        found = []
        for kind, name in self._place.configurations:
            path = f"/apis/{_GROUP}/{kind.lower()}s/{name}"
            if (each := await self._kubernetes.get(path)) is not None:
                found.append({**each, "apiVersion": _GROUP, "kind": kind})
        return found

    async def _publish(self, configurations: Iterable[Mapping[str, Any]], bundle: bytes) -> None:
        text = base64.b64encode(bundle).decode()
        for each in configurations:
            hooks = [
                {"name": hook["name"], "clientConfig": {"caBundle": text}}
                for hook in each.get("webhooks") or ()
            ]
            if all(_ca_bundle(hook) == text for hook in each.get("webhooks") or ()):
                continue
            # With its uid, so that one that was deleted meanwhile is not made anew.
            metadata = {"name": each["metadata"]["name"], "uid": each["metadata"]["uid"]}
            value = {"apiVersion": _GROUP, "kind": each["kind"], "metadata": metadata, "webhooks": hooks}
            try:
                await self._kubernetes.apply(value, manager=FIELD_MANAGER)
            except KubernetesRefused as refused:
                log.warning("caBundle is not written: %s", refused, extra={"reason": refused.reason})
            else:
                log.info("caBundle of %s %s is written", each["kind"], metadata["name"])

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._place.namespace}/secrets/{self._place.secret}"


def _decoded(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """The Secret's data; what isn't base64 isn't there."""
    found = {}
    for name, value in (secret.get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            continue
    return found


def _is_published(configurations: Iterable[Mapping[str, Any]], authorities: Iterable[bytes]) -> bool:
    wanted = {each.strip() for each in authorities}
    for configuration in configurations:
        for hook in configuration.get("webhooks") or ():
            trusted = {each.strip() for each in split(base64.b64decode(_ca_bundle(hook)))}
            if not wanted <= trusted:
                return False
    return True


def _ca_bundle(hook: Mapping[str, Any]) -> str:
    text = (hook.get("clientConfig") or {}).get("caBundle")
    return text if isinstance(text, str) else ""
