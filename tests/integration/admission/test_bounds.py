"""Admission within bounds: of size, of time, of how many at once, of who may ask."""

import asyncio
import json
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from emailflow_operator.adapters.bounded_server import BoundedServer
from emailflow_operator.admission import reviewer as module
from emailflow_operator.admission.certificate_files import CertificateFiles
from emailflow_operator.admission.reviewer import NOT_CHECKED, Reviewer
from emailflow_operator.admission.server import AdmissionServer
from emailflow_operator.admission.serving import InvalidCertificate
from emailflow_operator.injection import SidecarSettings
from emailflow_operator.reconcile.cluster import Cluster

SIDECARS = SidecarSettings(image="emailflow:1")
HANGING = str(Path(__file__).with_name("hanging_child.py"))
WITHIN = 60


def review(spec, kind="EmailTemplate"):
    value = {
        "apiVersion": "emailflow.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "a", "namespace": "a"},
    }
    request = {
        "uid": "u1",
        "operation": "CREATE",
        "kind": {"group": "emailflow.dev", "version": "v1alpha1", "kind": kind},
        "object": {**value, "spec": spec},
    }
    whole = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(whole).encode()


GOOD = review({"subject": "Hello", "html": "Hi"})


def given(body):
    async def read():
        return body

    return read


@pytest.fixture
async def reviewer():
    made = []

    def make(**options):
        made.append(Reviewer(lambda: None, SIDECARS, **options))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"[" * (3 << 20), {400}),
        (b"[" + b"{}," * (1 << 20) + b"{}]", {400, 413}),
        (review({"subject": "Hello", "html": "{{ a" + ".b" * 100_000 + " }}"}), {200}),
        (review({"subject": "Hello", "html": "{{x}}" * 600_000}), {200}),
        (review({"subject": "Hello", "html": "Hi", "sample": [{}] * 1_000_000}), {200, 413}),
    ],
    ids=["brackets", "objects", "a chain", "three megabytes", "a sample"],
)
async def test_three_megabytes_of_anything_are_answered_and_the_next_review_too(reviewer, body, statuses):
    reviews = reviewer(within=WITHIN)
    answer = await reviews.answer("validate", given(body))
    assert answer.status in statuses
    if answer.status == 200:
        assert json.loads(answer.body)["response"]["allowed"] is False
    answer = await reviews.answer("validate", given(GOOD))
    assert json.loads(answer.body)["response"]["allowed"] is True


@pytest.mark.parametrize(
    ("path", "when", "status"),
    [("validate", "read", 200), ("validate", "before", 503), ("inject", "read", 503)],
    ids=["let in with a warning", "unread: as failurePolicy says", "a pod: as failurePolicy says"],
)
async def test_what_takes_too_long_holds_nobody_up(reviewer, path, when, status):
    answer = await reviewer(within=2, child=(HANGING, when)).answer(path, given(GOOD))
    assert answer.status == status
    if status == 200:
        response = json.loads(answer.body)["response"]
        assert response == {"uid": "u1", "allowed": True, "warnings": [NOT_CHECKED]}


async def test_a_body_that_does_not_come_holds_nobody_up(reviewer):
    answer = await reviewer(within=0.5).answer("validate", asyncio.Event().wait)
    assert answer.status == 503


async def test_more_than_may_wait_are_told_so_at_once(reviewer, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 1)
    reviews, come = reviewer(within=WITHIN), asyncio.Event()

    async def slow():
        await come.wait()
        return GOOD

    waiting = [asyncio.create_task(reviews.answer("validate", slow)) for _ in range(module.AT_ONCE + 1)]
    await asyncio.sleep(0)
    busy = await reviews.answer("validate", given(GOOD))
    assert (busy.status, json.loads(busy.body)["reason"]) == (503, "Busy")
    come.set()
    assert {each.status for each in await asyncio.gather(*waiting)} == {200}


async def test_more_neighbours_than_a_review_may_look_at_cost_warnings_only(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BESIDE", 10)
    cluster = Cluster()
    policy = {"apiVersion": "emailflow.dev/v1alpha1", "kind": "ContactPolicy", "spec": {"topic": "offers"}}
    cluster.put("ContactPolicy", {**policy, "metadata": {"name": "offers", "namespace": "a"}})
    reviews = Reviewer(lambda: cluster, SIDECARS, within=WITHIN)
    answer = await reviews.answer("validate", given(GOOD))
    await reviews.close()
    assert json.loads(answer.body)["response"] == {"uid": "u1", "allowed": True}


# --- the server --------------------------------------------------------------------------------------------


@pytest.fixture
async def bounded():
    made = []

    async def start(**options):
        async def answer(_):
            return web.Response(text="here")

        app = web.Application()
        app.router.add_get("/", answer)
        server = BoundedServer(app, **options)
        listening = socket.create_server(("127.0.0.1", 0))
        await server.start(listening)
        made.append(server)
        return listening.getsockname()[:2]

    yield start
    for each in made:
        await each.close()


async def test_a_head_that_never_ends_is_not_waited_for(bounded):
    host, port = await bounded(idle=0.5)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nA: ")
    async with asyncio.timeout(WITHIN):
        assert await reader.read() == b""
    writer.close()


async def test_headers_without_end_are_refused(bounded):
    host, port = await bounded()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
    async with asyncio.timeout(WITHIN):
        for number in range(10_000):
            writer.write(b"A%d: %b\r\n" % (number, b"x" * 1000))
        writer.write(b"\r\n")
        assert b" 400 " in await reader.readline()
    writer.close()


async def test_connections_beyond_the_bound_are_closed_and_the_others_are_served(bounded):
    host, port = await bounded(connections=2)
    kept = [await asyncio.open_connection(host, port) for _ in range(2)]
    for reader, writer in kept:  # they have arrived
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200" in await reader.readline()
    async with asyncio.timeout(WITHIN):
        reader, writer = await asyncio.open_connection(host, port)
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    for _, writer in kept:
        writer.close()


# --- who may ask -------------------------------------------------------------------------------------------


def signed(folder, name, usage, by=None):
    """A pair in files, and what signs more: a CA of its own when `by` nobody."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = by or (subject, key)
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    folder.mkdir()
    certificate = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return subject, key


async def posted(port, trusted, pair=None):
    trusting = ssl.create_default_context(cafile=trusted / "tls.crt")
    if pair is not None:
        trusting.load_cert_chain(pair / "tls.crt", pair / "tls.key")
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
        session.post(f"https://127.0.0.1:{port}/validate", data=GOOD) as answer,
    ):
        return answer.status


async def test_with_a_client_ca_only_its_clients_are_answered(tmp_path):
    ours, theirs = (signed(tmp_path / name, name, None) for name in ("ours", "theirs"))
    serving, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
    signed(tmp_path / "server", "server", serving, ours)
    signed(tmp_path / "apiserver", "apiserver", client, ours)
    signed(tmp_path / "stranger", "stranger", client, theirs)
    certificates = CertificateFiles(tmp_path / "server")
    server = AdmissionServer(
        0,
        certificates,
        lambda: None,
        SIDECARS,
        host="127.0.0.1",
        client_ca=tmp_path / "ours" / "tls.crt",
    )
    async with asyncio.timeout(WITHIN), server:
        assert await posted(server.port, tmp_path / "ours", tmp_path / "apiserver") == 200
        for refused in (None, tmp_path / "stranger"):
            with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
                await posted(server.port, tmp_path / "ours", refused)


async def test_a_client_ca_that_is_none_is_said_so(tmp_path):
    signed(tmp_path / "server", "server", ExtendedKeyUsageOID.SERVER_AUTH)
    wrong = tmp_path / "ca.crt"
    wrong.write_text("nothing")
    certificates = CertificateFiles(tmp_path / "server")
    server = AdmissionServer(0, certificates, lambda: None, SIDECARS, host="127.0.0.1", client_ca=wrong)
    with pytest.raises(InvalidCertificate, match="PEM"):
        await server.__aenter__()
