"""Certificates that make and replace themselves while everybody goes on calling."""

import asyncio
import base64
import json
import ssl
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from emailflow_operator.admission.certificate_files import CertificateFiles
from emailflow_operator.admission.certificate_making import make
from emailflow_operator.admission.certificate_policy import Lifetimes, Step
from emailflow_operator.admission.certificate_secret import SECRET, CertificateSecret
from emailflow_operator.admission.server import AdmissionServer
from emailflow_operator.admission.serving import InvalidCertificate
from emailflow_operator.injection import SidecarSettings

DAY = timedelta(days=1)
NAMES = frozenset({"127.0.0.1"})
REVIEW = json.dumps(
    {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "operation": "CREATE",
            "kind": {"group": "emailflow.dev", "kind": "EmailFlow"},
            "object": {"apiVersion": "emailflow.dev/v1alpha1", "kind": "EmailFlow", "spec": []},
        },
    }
)


async def secret(api, place):
    return await api.get(f"/api/v1/namespaces/{place.namespace}/secrets/{SECRET}")


def data(value, key):
    return base64.b64decode(value["data"][key])


async def served_chain(replica, authorities):
    """The certificate that a new connection gets, verified."""
    trusting = ssl.create_default_context(cadata=authorities.decode())
    _, writer = await asyncio.open_connection("127.0.0.1", replica.server.port, ssl=trusting)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return ssl.DER_cert_to_PEM_cert(der).strip().encode()


async def test_a_refusal_comes_over_tls_that_the_published_authority_vouches_for(replica, api, place):
    running = await replica()
    authorities = data(await secret(api, place), "ca.crt")
    status, answer = await running.post("/validate", REVIEW, authorities)
    assert (status, answer["response"]["uid"], answer["response"]["allowed"]) == (200, "u1", False)
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await running.post(
            "/validate", REVIEW, make(Step.BEGIN, None, NAMES, datetime.now(UTC), Lifetimes()).bundle
        )


@pytest.mark.parametrize("body", ["", "{}", "[[[", '{"apiVersion": "admission.k8s.io/v1"}', "x" * 100_000])
async def test_garbage_is_a_bad_request_and_the_next_one_is_answered(replica, api, place, body):
    running = await replica()
    authorities = data(await secret(api, place), "ca.crt")
    status, answer = await running.post("/validate", body, authorities)
    assert (status, answer["reason"]) == (400, "InvalidReview")
    assert (await running.post("/validate", REVIEW, authorities))[0] == 200


async def test_replicas_that_start_together_agree_on_one_certificate(replica, api, place):
    replicas = await asyncio.gather(*(replica(leads=n == 0, look_every=3600.0) for n in range(3)))
    held = await secret(api, place)
    for each in replicas:
        assert await served_chain(each, data(held, "ca.crt")) == data(held, "tls.crt").strip()


async def test_a_secret_that_somebody_has_spoilt_is_made_anew(replica, api, place):
    running = await replica()
    held = await secret(api, place)
    await api.replace({**held, "data": {**held["data"], "tls.key": base64.b64encode(b"spoilt").decode()}})
    await running.certificates.look()
    await running.post("/validate", REVIEW, data(await secret(api, place), "ca.crt"))


async def test_only_the_leader_publishes(replica, installation):
    follower = await replica(leads=False)
    await installation.install(follower.url)
    await follower.certificates.look()
    assert await installation.bundle() == b""


async def test_a_year_of_rotations_passes_without_a_call_that_fails(replica, installation, api, place):
    """The leader, a follower that lags, and an API server that trusts what was published a while ago."""
    # Certificates are verified by the real clock, so the year ends now.
    now = datetime.now(UTC) - 300 * DAY
    lives = Lifetimes(authority=360 * DAY, serving=340 * DAY, settle=timedelta(minutes=5))
    settings = {"lives": lives, "now": lambda: now, "look_every": 3600.0}
    leader, follower = await replica(**settings), await replica(leads=False, **settings)
    await installation.install(leader.url)
    await leader.certificates.look()
    await follower.certificates.look()
    authorities = await installation.bundle()
    bundles, chains, calls = {authorities}, set(), 0
    ended = asyncio.Event()

    async def call():
        nonlocal calls
        while not ended.is_set():
            for each in (leader, follower):
                assert (await each.post("/validate", REVIEW, authorities))[0] == 200
                calls += 1

    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        group.create_task(call())
        while now < datetime.now(UTC) - DAY:
            now += 5 * DAY
            await leader.certificates.look()
            chains.add(await served_chain(leader, authorities))
            await served_chain(follower, authorities)
            await follower.certificates.look()
            await served_chain(follower, authorities)
            authorities = await installation.bundle()
            bundles.add(authorities)
        ended.set()
    assert [each.count(b"BEGIN") for each in sorted(bundles, key=len)] == [1, 1, 2]
    assert len(chains) > 1
    assert calls > 10


async def test_given_files_are_read_again_when_they_change(tmp_path):
    def write(material):
        for name, content in (("tls.crt", material.certificate), ("tls.key", material.key)):
            (tmp_path / name).write_bytes(content)

    old, new = (make(Step.BEGIN, None, NAMES, datetime.now(UTC), Lifetimes()) for _ in range(2))
    certificates = CertificateFiles(tmp_path, look_every=0.01)
    with pytest.raises(InvalidCertificate):
        await certificates.start()
    write(old)
    server = AdmissionServer(0, certificates, lambda: None, SidecarSettings(image="x"), host="127.0.0.1")
    async with server, asyncio.timeout(30):
        running = type("Running", (), {"server": server})
        assert await served_chain(running, old.bundle) == old.certificate.strip()
        (tmp_path / "tls.key").write_bytes(b"half a key")
        assert await served_chain(running, old.bundle) == old.certificate.strip()
        write(new)
        while True:
            try:
                assert await served_chain(running, new.bundle) == new.certificate.strip()
            except ssl.SSLCertVerificationError:
                continue
            break


async def test_the_rights_that_the_chart_gives_are_enough(installation, apiserver, api, place):
    """RBAC can't name what is created, except by server-side apply: a Secret's content is applied twice."""
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET]}
    rule["verbs"] = ["get", "create", "patch"]
    group = "rbac.authorization.k8s.io/v1"
    role = json.dumps({"apiVersion": group, "kind": "Role", "metadata": {"name": "own"}, "rules": [rule]})
    assert (await installation.apply(role)).returncode == 0
    who = f"system:serviceaccount:{place.namespace}:operator"
    where = f"--namespace={place.namespace}"
    binding = ("create", "rolebinding", "own", "--role=own", f"--user={who}", where)
    assert (await installation.run(*binding)).returncode == 0
    for name, expected in ((SECRET, 0), (SECRET, 0), ("another", 1)):
        manifest = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{a: b}}\n"
        answer = await installation.apply(manifest, "--server-side", f"--as={who}")
        assert answer.returncode == expected, answer.stderr


async def test_who_comes_to_lead_publishes_at_once(installation, api, place):
    leads = False
    certificates = CertificateSecret(api, place, lambda: leads, look_every=3600.0)
    server = AdmissionServer(0, certificates, lambda: None, SidecarSettings(image="x"), host="127.0.0.1")
    async with server, asyncio.timeout(30):
        await installation.install(f"https://127.0.0.1:{server.port}")
        leads = True
        while not await installation.bundle():
            pass
