"""The webhooks behind real TLS, with their certificates in a real API server, which calls them."""

import asyncio
import base64
import json
import ssl
from contextlib import AsyncExitStack

import aiohttp
import pytest
import yaml

from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.admission.certificate_secret import CertificateSecret, Place
from emailflow_operator.admission.server import AdmissionServer
from emailflow_operator.injection import SidecarSettings
from emailflow_operator.reconcile.cluster import Cluster

TOKEN = "only-for-this-test-run"
ADDRESS = "127.0.0.1"
GROUP = "admissionregistration.k8s.io/v1"
TRIES = 400
RULES = {
    "ValidatingWebhookConfiguration": {
        "path": "validate",
        "rules": [
            {
                "apiGroups": ["emailflow.dev"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["*"],
            }
        ],
    },
    "MutatingWebhookConfiguration": {
        "path": "inject",
        "reinvocationPolicy": "IfNeeded",
        "objectSelector": {"matchLabels": {"emailflow.dev/inject": "true"}},
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ],
    },
}


@pytest.fixture
async def api(apiserver):
    access = Access(apiserver.server, apiserver.authority, credentials=lambda: f"Bearer {TOKEN}")
    async with KubernetesApi(access) as client:
        yield client


@pytest.fixture
def place(namespace):
    """Where the Secret is, and the two configurations, of this test only."""
    configurations = tuple((kind, f"{namespace}-{kind.lower()}") for kind in RULES)
    return Place(namespace, frozenset({ADDRESS}), configurations)


class Replica:
    """One replica's webhooks."""

    def __init__(self, server, certificates):
        self.server = server
        self.certificates = certificates

    @property
    def url(self):
        return f"https://{ADDRESS}:{self.server.port}"

    async def post(self, path, body, authorities):
        """Status and JSON of an answer, over a connection of its own that trusts these authorities (PEM)."""
        trusting = ssl.create_default_context(cadata=authorities.decode())
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
            session.post(f"{self.url}{path}", data=body) as answer,
        ):
            return answer.status, await answer.json()


@pytest.fixture
def picture():
    """The operator's picture of the cluster, which warnings come from."""
    return Cluster()


@pytest.fixture
async def replica(api, place, picture):
    """Start replicas; they end with the test."""
    async with AsyncExitStack() as stack:

        async def start(*, leads=True, client_ca=None, **settings):
            certificates = CertificateSecret(api, place, lambda: leads, **settings)
            sidecars = SidecarSettings(image="emailflow:1")
            server = AdmissionServer(
                0, certificates, lambda: picture, sidecars, host=ADDRESS, client_ca=client_ca
            )
            return Replica(await stack.enter_async_context(server), certificates)

        yield start


class Installation:
    """The chart's static configurations, without a caBundle, for the test's namespace."""

    def __init__(self, kubectl, place):
        self.kubectl = kubectl
        self.place = place

    def manifests(self, url):
        for kind, name in self.place.configurations:
            hook = {
                "name": f"{RULES[kind]['path']}.emailflow.dev",
                "clientConfig": {"url": f"{url}/{RULES[kind]['path']}"},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.place.namespace}},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "timeoutSeconds": 5,
                **{key: value for key, value in RULES[kind].items() if key != "path"},
            }
            yield {"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "webhooks": [hook]}

    async def run(self, *arguments, manifests=None):
        """kubectl, in a thread: the API server calls us meanwhile."""
        return await asyncio.to_thread(self.kubectl.run, *arguments, manifests=manifests)

    async def install(self, url):
        text = yaml.safe_dump_all(self.manifests(url))
        answer = await self.run("apply", "--server-side", "--filename=-", manifests=text)
        assert answer.returncode == 0, answer.stderr

    async def read(self, kind):
        [name] = [name for each, name in self.place.configurations if each == kind]
        answer = await self.run("get", kind, name, "--output=json", "--show-managed-fields")
        return json.loads(answer.stdout)

    async def bundle(self, kind="ValidatingWebhookConfiguration"):
        """The published authorities, in PEM."""
        return base64.b64decode((await self.read(kind))["webhooks"][0]["clientConfig"].get("caBundle", ""))

    async def apply(self, manifest, *options):
        where = f"--namespace={self.place.namespace}"
        return await self.run("apply", where, "--filename=-", *options, manifests=manifest)

    async def until(self, happens, manifest):
        """Apply on trial until the answer is as expected: the API server takes a moment to call webhooks."""
        for _ in range(TRIES):
            answer = await self.apply(manifest, "--dry-run=server")
            if happens(answer):
                return answer
        raise AssertionError(answer.stderr)

    async def remove(self):
        for kind, name in self.place.configurations:
            await self.run("delete", kind, name, "--ignore-not-found")


@pytest.fixture
async def installation(apiserver, place):
    made = Installation(apiserver, place)
    yield made
    await made.remove()
