"""Compiling in a process that can be killed: whatever one object does to it, the others are compiled."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from emailflow_operator.adapters.confined.process import ProcessUnavailable
from emailflow_operator.control.compiler import TRY_AGAIN_AFTER, Compiler
from emailflow_operator.reconcile.cluster import Cluster
from emailflow_operator.reconcile.desired import compile_for
from emailflow_operator.reconcile.scope import sources_for

from .conftest import until

MAIL = ("mail", "default")
HOSTILE = (str(Path(__file__).with_name("hostile_child.py")),)
API = "emailflow.dev/v1alpha1"
FLOW = {
    "trigger": {"types": ["com.example.signed_up"]},
    "steps": [{"name": "hello", "send": {"templateRef": {"name": "hello"}}}],
}


def thing(kind: str, name: str, spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "mail", "uid": name, "resourceVersion": "1"}
    return {"apiVersion": API, "kind": kind, "metadata": metadata, "spec": spec}


def policy(name: str, **more: Any) -> dict[str, Any]:
    return thing("ContactPolicy", name, {"topic": "offers", **more})


def cluster_of(*more: dict[str, Any]) -> Cluster:
    made = Cluster()
    smtp = {"host": "smtp.example.com", "port": 587}
    sender = {"address": "shop@example.com"}
    for each in (
        thing("EmailRuntime", "default", {"defaults": {"providerRef": {"name": "smtp"}}}),
        thing("EmailProvider", "smtp", {"type": "Smtp", "smtp": smtp, "from": sender}),
        thing("EmailFlow", "hello", FLOW),
        thing("EmailTemplate", "hello", {"subject": "Hello", "markdown": "Hi"}),
        *more,
    ):
        made.put(each["kind"], each)
    return made


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def compiler(clock: Clock) -> AsyncIterator[Callable[..., Compiler]]:
    made: list[Compiler] = []

    def make(**options: Any) -> Compiler:
        made.append(Compiler(clock, **options))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_the_process_gives_what_compiling_here_would_give(compiler: Any) -> None:
    cluster = cluster_of(policy("offers"), thing("EmailTemplate", "broken", {"subject": "{{", "html": "Hi"}))
    sources = sources_for(cluster, MAIL, {})
    made = compiler()
    assert await made.compile(MAIL, sources) == compile_for(MAIL, sources.documents, sources.strangers)
    environment = Path(f"/proc/{made.pid}/environ")
    assert environment.read_bytes() == b""  # noqa: ASYNC240 - it is no disk's


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("slow", "CompileTimeout"),
        ("silent", "CompileTimeout"),
        ("hungry", "CompileTooLarge"),
        ("fatal", "CompileTooLarge"),
    ],
)
async def test_what_one_object_does_to_the_process_is_its_own_condition(
    compiler: Any, name: str, reason: str
) -> None:
    sources = sources_for(cluster_of(policy(name), policy("zz")), MAIL, {})
    compiled = await compiler(child=HOSTILE, seconds=0, patience=5).compile(MAIL, sources)
    [finding] = compiled.errors(f"ContactPolicy/mail/{name}")
    assert finding.reason == reason
    assert set(compiled.plans.policies) == {"zz"}
    assert set(compiled.plans.flows) == {"mail/hello"}


async def test_what_was_given_up_is_tried_again_when_it_changes_or_after_a_while(
    compiler: Any, clock: Clock
) -> None:
    made = compiler(child=HOSTILE, seconds=0)
    cluster = cluster_of(policy("fatal"))
    await made.compile(MAIL, sources_for(cluster, MAIL, {}))
    process = made.pid
    again = await made.compile(MAIL, sources_for(cluster, MAIL, {}))
    assert made.pid == process, "the object was tried again"
    assert again.errors("ContactPolicy/mail/fatal")

    clock.now = TRY_AGAIN_AFTER
    await made.compile(MAIL, sources_for(cluster, MAIL, {}))
    assert made.pid != process
    process = made.pid
    cluster.put("ContactPolicy", policy("fatal", title=[{"locale": "en", "text": "Offers"}]))
    await made.compile(MAIL, sources_for(cluster, MAIL, {}))
    assert made.pid != process


async def test_many_hostile_objects_are_all_given_up(compiler: Any) -> None:
    names = [f"hungry-{number}" for number in range(5)] + ["fatal-1", "fatal-2"]
    sources = sources_for(cluster_of(*map(policy, names)), MAIL, {})
    compiled = await compiler(child=HOSTILE, seconds=0).compile(MAIL, sources)
    assert all(compiled.errors(f"ContactPolicy/mail/{name}") for name in names)
    assert set(compiled.plans.flows) == {"mail/hello"}


async def test_a_process_that_can_not_start_is_said_so(compiler: Any) -> None:
    with pytest.raises(ProcessUnavailable):
        await compiler(child=("-c", "raise SystemExit")).compile(MAIL, sources_for(cluster_of(), MAIL, {}))


async def test_an_object_that_is_nested_without_end_never_gets_there(compiler: Any) -> None:
    deep: dict[str, Any] = {}
    for _ in range(3000):
        deep = {"a": deep}
    template = thing("EmailTemplate", "deep", {"subject": "Hello", "html": "Hi", "sample": deep})
    compiled = await compiler().compile(MAIL, sources_for(cluster_of(template), MAIL, {}))
    assert [each.reason for each in compiled.errors("EmailTemplate/mail/deep")] == ["TooComplex"]
    assert set(compiled.plans.flows) == {"mail/hello"}


async def test_a_process_that_nobody_needs_ends_and_comes_back(compiler: Any) -> None:
    sources = sources_for(cluster_of(), MAIL, {})
    made = compiler(idle=0.1)
    first = await made.compile(MAIL, sources)

    async def is_gone() -> bool:
        return made.pid is None

    assert await until(is_gone)
    assert await made.compile(MAIL, sources) == first
