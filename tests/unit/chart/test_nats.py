"""The chart's NATS shows no more than it has to, and asks who it talks to."""

import pytest
from tests.unit.chart.conftest import NAMESPACE, Helm, Object, Rendered

NATS = "emailflow-nats"


def container(rendered: Rendered) -> Object:
    [found] = rendered.one("StatefulSet", NATS)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def config(rendered: Rendered) -> str:
    return str(rendered.one("ConfigMap", NATS)["data"]["nats.conf"])


def test_only_the_pod_itself_reaches_the_monitor(everything: Rendered) -> None:
    assert 'http: "127.0.0.1:8222"' in config(everything)
    assert "http_port" not in config(everything)
    ports = [port["port"] for each in everything.all("Service") for port in each["spec"]["ports"]]
    ports += [each["containerPort"] for each in container(everything)["ports"]]
    assert 8222 not in ports
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        command = container(everything)[probe]["exec"]["command"]
        assert command[0] == "wget"
        assert command[-1].startswith("http://127.0.0.1:8222/healthz?")


@pytest.mark.parametrize("values", [("nats.replicas=3",), ("nats.replicas=3", "nats.tls.enabled=false")])
def test_routes_always_ask_for_a_certificate_and_a_password(helm: Helm, values: tuple[str, ...]) -> None:
    rendered = helm(*values)
    [cluster] = config(rendered).split("cluster {")[1:]
    assert "verify: true" in cluster
    assert "password: $ROUTES_PASSWORD" in cluster
    variables = {each["name"]: each for each in container(rendered)["env"]}
    secret = variables["ROUTES_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": "emailflow-nats-auth", "key": "routes.password"}
    assert "$(ROUTES_PASSWORD)" in variables["ROUTE_2"]["value"]


@pytest.mark.parametrize(
    ("values", "made", "spoken"),
    [
        ((), True, True),
        (("nats.tls.enabled=false",), False, False),
        (("nats.tls.enabled=false", "nats.replicas=3"), True, False),
        (("nats.enabled=false", "nats.tls.enabled=false"), False, False),
    ],
)
def test_certificates_are_made_for_whom_they_are_asked_of(
    helm: Helm, values: tuple[str, ...], made: bool, spoken: bool
) -> None:
    [operator] = helm(*values).one("Deployment", "emailflow-operator")["spec"]["template"]["spec"][
        "containers"
    ]
    names = [each for each in operator["args"] if each.startswith("--nats-certificate-name=")]
    assert bool(names) == made
    assert not made or f"--nats-certificate-name={NATS}.{NAMESPACE}.svc" in names
    assert ("--nats-tls" in operator["args"]) == spoken


def test_what_a_runtime_may_store_is_handed_on_in_bytes(helm: Helm) -> None:
    rendered = helm("nats.storagePerRuntime=2Gi")
    [operator] = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    assert f"--runtime-bytes={2 << 30}" in operator["args"]
