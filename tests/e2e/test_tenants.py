"""What a tenant tries against another of the same cluster, with its own credentials: each act is refused.

Both have a namespace, a runtime, an author and a platform owner. The enemy uses what is its own: NATS users
of its Secrets, tokens of its ServiceAccounts for any audience, its pods, its people's rights.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from tests.e2e import cluster, events, tenants
from tests.e2e.cluster import Sink, get, in_pod, kubectl, listed, wait
from tests.e2e.conftest import arrived, patch
from tests.e2e.tenants import Tenant

from emailflow_api.jetstream.naming import Role

MINE = "com.example.mine"
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/enemy", "ce-type": MINE}
USERS = (Role.RUNTIME, Role.READER, Role.PRODUCER)
"""Those that a Secret in a tenant's namespace is for."""
RUNTIMES = "count/emailruntimes.emailflow.dev"
HEAD = "apiVersion: emailflow.dev/v1alpha1\n"


class Tenants(NamedTuple):
    """Who is attacked, and who attacks."""

    victim: Tenant
    enemy: Tenant


@pytest.fixture(scope="module")
def both(
    release: str, witness: Sink, admission: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenants]:
    """Two tenants, each of which has mailed somebody."""
    folder = tmp_path_factory.mktemp("tenants")
    made = Tenants(Tenant("tenant-a", folder), Tenant("tenant-b", folder))
    for each in made:
        assert sign_up(each, f"first-{each.namespace}") == 202
        assert witness.mails(f"first-{each.namespace}@example.com", count=1)
    yield made
    kubectl("delete", "namespace", *(each.namespace for each in made), "--wait=false")


def told(tenant: Tenant, name: str, **credentials: str) -> dict[str, Any]:
    """A request to a tenant's runtime that says that somebody signed up."""
    body = json.dumps(events.sign_up(name))
    return {"method": "POST", "url": events.door(tenant.namespace), "body": body, **credentials}


def sign_up(tenant: Tenant, name: str) -> int:
    """Tell its own runtime that somebody signed up, as its services do: the status."""
    [status] = tenant.http(told(tenant, name, file=f"/token/{tenant.namespace}"))
    return status


def flow(name: str, *, said: str = "", kind: str = MINE, send: str = "templateRef: {name: welcome}") -> str:
    """A flow of one mail."""
    return f"""{HEAD}kind: EmailFlow
metadata: {{name: {name}}}
spec:
  {said}
  trigger: {{types: [{kind}]}}
  steps: [{{name: hello, send: {{{send}}}}}]
"""


def test_no_user_of_nats_writes_into_another_tenants_streams(both: Tenants) -> None:
    theirs, own = both.victim.names, both.enemy.names
    into = {
        f"$KV.{theirs.bucket('PLANS')}.current.provider.relay": f"KV_{theirs.bucket('PLANS')}",
        theirs.state_subjects(0).epoch: theirs.state(0),
        theirs.event_subject(0, MINE): theirs.events,
        theirs.inbound_subject(MINE): theirs.inbound,
    }
    before = [both.victim.last(stream, subject) for subject, stream in into.items()]
    assert before[0], "its provider stands in PLANS"
    assert before[1], "its owner in STATE"

    read = {"subject": f"$JS.API.DIRECT.GET.{own.events}", "body": '{"seq": 1}'}
    log = {"subject": own.event_subject(0, MINE), "body": "{}", "headers": HEADERS}
    publish = {"subject": own.inbound_subject(MINE), "body": "{}", "headers": HEADERS}
    for role, acts in zip(USERS, ([read, log, publish], [read], [publish]), strict=True):
        misled = [{**act, "reply": subject} for act in acts for subject in into]
        at_once = [{"subject": subject, "body": "evil"} for subject in into]
        outcomes = both.enemy.nats(role, [*misled, *at_once, acts[0]])
        # It may have answers sent anywhere: they stay in its own account. The last act's answer comes after
        # those of all before it.
        assert outcomes[:-1] == ["sent"] * len(misled) + ["refused"] * len(at_once), role
        assert outcomes[-1]["data"], role

    assert [both.victim.last(stream, subject) for subject, stream in into.items()] == before


def test_no_user_of_nats_reads_or_copies_another_tenants_streams(both: Tenants) -> None:
    theirs, own = both.victim.names, both.enemy.names
    streams = (theirs.events, theirs.state(0), f"KV_{theirs.bucket('PLANS')}")
    copy = json.dumps({"name": "COPY", "sources": [{"name": each} for each in streams]})
    made = [
        {"subject": f"$JS.API.STREAM.{verb}.{name}", "body": copy}
        for verb in ("CREATE", "UPDATE")
        for name in ("COPY", own.events, f"KV_{own.bucket('LEASES')}")
    ]
    heard = [f"{theirs.subject_prefix}.{each}" for each in ("in.>", "events.>", "state.>", "refused.*", ">")]
    heard += [f"{theirs.inbox(role)}.>" for role in (*USERS, Role.OPERATOR)]
    heard += [f"$KV.{theirs.bucket('PLANS')}.>", ">", "$SYS.>"]
    acts = [*made, *({"subject": subject, "listen": True} for subject in heard)]
    for role in USERS:
        assert both.enemy.nats(role, acts) == ["refused"] * len(acts), role

    # A runtime's user may name any stream when it asks: the other tenant's are not in its account.
    direct = [
        {"subject": f"$JS.API.DIRECT.GET.{each}", "body": '{"seq": 1}'} for each in (own.events, *streams)
    ]
    about = [{"subject": f"$JS.API.STREAM.INFO.{each}"} for each in streams]
    mine, *answers = both.enemy.nats(Role.RUNTIME, [*direct, *about])
    assert mine["data"]
    assert [each["status"] for each in answers[: len(streams)]] == ["503"] * len(streams)
    errors = [json.loads(each["data"])["error"]["code"] for each in answers[len(streams) :]]
    assert errors == [404] * len(streams)


def test_nats_lets_in_nobody_without_credentials_and_shows_no_other_port(both: Tenants, release: str) -> None:
    """Routes and the monitor. With three servers, test_watched_namespaces.py knocks at the routes."""
    address = get("pod", "emailflow-nats-0", release)["status"]["podIP"]
    where = (both.enemy.namespace, "tenant")
    said = in_pod(*where, tenants.WITHOUT_CREDENTIALS, tenants.NATS, address).lower()
    assert said.startswith("reached 4222\n")
    assert said.count("reached") == 1, said
    assert "authorization violation" in said


def test_no_token_of_another_tenant_is_taken(both: Tenants, witness: Sink) -> None:
    victim, enemy = both
    # What a service of the victim's sends to another runtime, which passes it on.
    passed_on = victim.token(audience=f"emailflow/{enemy.namespace}/default")
    requests = {
        "none": told(victim, "evil"),
        "nonsense": told(victim, "evil", token="e30.e30.e30"),
        "its own runtime's": told(victim, "evil", file="/token/tenant-b"),
        "of before": told(victim, "evil", file="/token/earlier"),
        "for the API server": told(victim, "evil", file="/token/cluster"),
        "passed on": told(victim, "evil", token=passed_on),
        "of another namespace": told(victim, "evil", file="/token/tenant-a"),
    }
    statuses = dict(zip(requests, enemy.http(*requests.values()), strict=True))
    assert statuses.pop("of another namespace") == 403
    assert set(statuses.values()) == {401}, statuses
    assert sign_up(victim, "tess") == 202
    assert witness.mails("tess@example.com", count=1)
    assert witness.mails("evil@example.com") == []


def test_each_port_of_a_runtime_answers_for_its_own_paths_only(both: Tenants) -> None:
    base = f"http://emailruntime-default.{both.victim.namespace}.svc"
    elsewhere = [
        {"method": "POST", "url": f"{base}:8082/events", "body": "{}"},
        {"method": "GET", "url": f"{base}:8082/metrics"},
        {"method": "GET", "url": f"{base}/metrics"},
        {"method": "GET", "url": f"{base}/l/a"},
    ]
    assert both.enemy.http(*elsewhere) == [404] * len(elsewhere)


def test_nobody_may_do_anything_in_another_tenants_namespace(both: Tenants, release: str) -> None:
    theirs, home = both.victim.namespace, release
    suspend = '{"spec": {"suspend": true}}'
    acts = [
        ("get", "secrets", "--namespace", theirs),
        ("get", "secret", "emailflow-nats-runtime", "--namespace", theirs),
        ("get", "secret", "emailflow-nats-auth", "--namespace", home),
        ("get", "pods,configmaps", "--namespace", theirs),
        ("get", "emailflows,emailproviders,emailruntimes", "--namespace", theirs),
        ("get", "emailflows,emailtemplates", "--all-namespaces"),
        ("create", "token", "platform", "--namespace", theirs),
        ("exec", "tenant", "--namespace", theirs, "--", "true"),
        ("patch", "ef", "onboarding", "--namespace", theirs, "--type=merge", f"--patch={suspend}"),
        ("delete", "er", "default", "--namespace", theirs),
        ("create", "--namespace", theirs, "--filename=-"),
        ("create", "--namespace", home, "--filename=-"),
    ]
    runtime = f"{HEAD}kind: EmailRuntime\nmetadata: {{name: nats}}\nspec: {{}}\n"
    for person in ("author", "platform"):
        for act in acts:
            done = both.enemy.kubectl(person, *act, stdin=runtime)
            assert done.returncode != 0, (person, act, done.stdout)
            assert "forbidden" in done.stderr.lower(), (person, act, done.stderr)
    at_home = ("create", "--namespace", both.enemy.namespace, "--filename=-")
    assert "forbidden" in both.enemy.kubectl("author", *at_home, stdin=runtime).stderr


def test_a_quota_bounds_how_many_runtimes_a_tenant_makes(both: Tenants) -> None:
    """Each is promised a share of NATS' volume."""
    enemy = both.enemy
    kubectl("create", "quota", "mail", "--namespace", enemy.namespace, f"--hard={RUNTIMES}=1")
    counted = "{.status.used." + RUNTIMES.replace(".", r"\.") + "}=1"
    wait("quota", "mail", enemy.namespace, until=f"jsonpath={counted}")
    more = f"{HEAD}kind: EmailRuntime\nmetadata: {{name: more}}\nspec: {{}}\n"
    create = ("create", "--namespace", enemy.namespace, "--filename=-")
    assert "exceeded quota" in enemy.kubectl("platform", *create, stdin=more).stderr
    kubectl("delete", "quota", "mail", "--namespace", enemy.namespace)


def test_no_flow_gets_at_what_is_another_tenants(both: Tenants, witness: Sink) -> None:
    victim, enemy = both
    there = f"runtimeRef: {{name: default, namespace: {victim.namespace}}}"
    kubectl("apply", f"--namespace={victim.namespace}", "--filename=-", stdin=THEIRS)
    enemy.apply("author", flow("spy", said=there, kind=events.SIGNED_UP))
    enemy.apply("author", flow("consent", said="policyRef: {name: theirs}"))
    enemy.apply("author", flow("relay", send="templateRef: {name: welcome}, providerRef: {name: theirs}"))
    enemy.says("ef", "spy", "Ready", "NotAllowed")
    enemy.says("ef", "consent", "Ready", "PolicyNotFound")
    enemy.says("ef", "relay", "Ready", "ProviderNotFound")
    # A type of the same name means its own runtime's events, and maps them for it alone.
    enemy.apply("platform", SAME_TYPE)
    # The victim lets its flows in, and then to its policy, too: still they read none of its events.
    victims_own = victim.namespace
    patch("er", "default", {"spec": {"allowedNamespaces": {"from": "All"}}}, victims_own)
    try:
        enemy.says("ef", "spy", "Ready", "NotAUser")
        patch("cp", "getting-started", {"spec": {"users": {"from": "All"}}}, victims_own)
        enemy.says("ef", "spy", "Ready", "NotAReader")
        assert sign_up(victim, "vera") == 202
        assert witness.mails("vera@example.com", count=1)
    finally:
        patch("cp", "getting-started", {"spec": {"users": None}}, victims_own)
        patch("er", "default", {"spec": {"allowedNamespaces": None}}, victims_own)
    enemy.says("ef", "spy", "Ready", "NotAllowed")
    arrived("er", "default", victim.namespace)
    assert len(witness.mails("vera@example.com")) == 1


THEIRS = f"""{HEAD}kind: ContactPolicy
metadata: {{name: theirs}}
spec: {{topic: theirs, consent: None}}
---
{HEAD}kind: EmailProvider
metadata: {{name: theirs}}
spec:
  type: Smtp
  smtp: {{host: sink.witness.svc, port: 587, tls: None}}
  from: {{address: hello@example.com}}
"""
SAME_TYPE = f"""{HEAD}kind: EventType
metadata: {{name: user-signed-up}}
spec:
  type: {events.SIGNED_UP}
  readers: {{from: All}}
  contact: {{id: event.data.user.id, email: event.data.user.email}}
"""


SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{a: b}}, ports: [{{port: 80}}]}}
"""


@pytest.mark.parametrize("name", ["nats", "operator"])
def test_a_runtime_of_a_taken_name_leaves_what_is_there_alone(both: Tenants, name: str) -> None:
    enemy = both.enemy.namespace
    taken = [f"emailflow-{name}", f"emailruntime-{name}"]
    for each in taken:
        cluster.apply(SERVICE.format(name=each), enemy)
    before = [get("service", each, enemy) for each in taken]
    both.enemy.apply("platform", f"{HEAD}kind: EmailRuntime\nmetadata: {{name: {name}}}\nspec: {{}}\n")
    both.enemy.says("er", name, "Ready", "ChildNotOurs")
    both.enemy.kubectl("platform", "delete", "er", name, "--namespace", enemy, "--cascade=foreground")
    assert [get("service", each, enemy) for each in taken] == before
    assert listed("pods", enemy, f"--selector=emailflow.dev/runtime={name}") == []


def test_what_one_tenant_gives_the_operator_costs_another_nothing(
    both: Tenants, release: str, figures: dict[str, str]
) -> None:
    victim, enemy = both
    lease = get("lease", "emailflow-operator", release)["spec"]
    for name, body in HOSTILE.items():
        enemy.kubectl(
            "author", "apply", "--namespace", enemy.namespace, "--filename=-", stdin=template(name, body)
        )
    huge = {"method": "POST", "url": f"https://emailflow-webhook.{release}.svc/validate"}
    posts = [
        {**huge, "body": part, "repeat": (3 << 20) // len(part)} for part in ("[", "{}") for _ in range(8)
    ]
    with ThreadPoolExecutor(1) as beside:
        answered = beside.submit(enemy.http, *posts)
        began = time.monotonic()
        victim.apply("author", flow("beside"))
        wait("ef", "beside", victim.namespace, until="condition=Ready")
        figures["kubectl apply -> Ready beside hostile templates and reviews"] = (
            f"{time.monotonic() - began:.2f} s"
        )
        assert 200 not in answered.result()
    broken = flow("broken", said="continueIf: 'contact.('")
    assert "spec.continueIf" in cluster.refused(broken, victim.namespace)
    assert not in_force("et", enemy.namespace) & (HOSTILE.keys() - {"dense"})
    after = get("lease", "emailflow-operator", release)["spec"]
    assert (after["holderIdentity"], after["leaseTransitions"]) == (
        lease["holderIdentity"],
        lease["leaseTransitions"],
    )


HOSTILE = {
    "chain": "{{ a" + ".b" * 1000 + " }}",
    "number": "{{ " + "9" * 4301 + " }}",
    "brackets": "{{ " + "(" * 2000,
    "dense": "{{x|upper}}" * 30_000,
}


def in_force(kind: str, namespace: str) -> set[str]:
    """The names of those whose `Ready` says True."""
    return {
        each["metadata"]["name"]
        for each in listed(kind, namespace)
        for condition in each.get("status", {}).get("conditions", ())
        if (condition["type"], condition["status"]) == ("Ready", "True")
    }


def template(name: str, body: str) -> str:
    return (
        f'{HEAD}kind: EmailTemplate\nmetadata: {{name: {name}}}\nspec: {{subject: Hello, html: "{body}"}}\n'
    )


def test_after_all_of_it_the_other_tenants_mails_go_out_once_each(both: Tenants, witness: Sink) -> None:
    names = [f"afterwards{number}" for number in range(10)]
    assert [sign_up(both.victim, name) for name in names] == [202] * len(names)
    assert witness.counts("afterwards", distinct=len(names)) == {f"{name}@example.com": 1 for name in names}
    assert witness.mails("first-tenant-a@example.com")[0]["subject"] == "Welcome, First-tenant-a!"
    conditions = get("er", "default", both.victim.namespace)["status"]["conditions"]
    assert {each["type"]: each["status"] for each in conditions}["Ready"] == "True"
