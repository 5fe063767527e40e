"""Whatever is in one object, it is that object's own condition: everything else is compiled as before."""

from typing import Any

import pytest

from emailflow_api.compile import compilation, compile_resources
from emailflow_api.errors import Finding, Severity
from emailflow_api.reading import Document, read_documents

HOSTILE = {
    "a long chain of attributes": "{{ a" + ".b" * 1000 + " }}",
    "a long sum": "{{ 1" + "+1" * 1000 + " }}",
    "a long number": "{{ " + "9" * 4301 + " }}",
    "deep brackets": "{{ " + "(" * 2000,
    "deep negations": "{{ " + "not " * 900 + "a }}",
}
CRASHES = [RecursionError, MemoryError, RuntimeError, ValueError, KeyError]


def documents_of(sound: dict[str, str], extra: str = "") -> list[Document]:
    return read_documents("---\n".join([*sound.values(), *([extra] if extra else [])]), "x.yaml")


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_template_is_its_own_condition(compile_text: Any, sound: dict[str, str], body: str) -> None:
    hostile = sound["template"].replace("name: hello", "name: bomb").replace("<p>Hello</p>", f'"{body}"')
    found = compile_text(extra=hostile)
    assert {each.subject for each in found.findings} == {"EmailTemplate/default/bomb"}
    assert "default/welcome" in found.plans.flows
    assert "default/bomb" not in found.plans.templates


@pytest.mark.parametrize("member", ["schema", "sample"])
def test_json_that_is_nested_without_end_is_its_own_condition(sound: dict[str, str], member: str) -> None:
    deep: dict[str, Any]
    if member == "schema":
        deep = {"kind": "EventType", "spec": {"type": "com.example.deep", "schema": nested(2000)}}
    else:
        deep = {"kind": "EmailTemplate", "spec": {"subject": "Hi", "html": "Hi", "sample": nested(2000)}}
    deep |= {"apiVersion": "emailflow.dev/v1alpha1", "metadata": {"name": "deep"}}
    found = compile_resources([*documents_of(sound), Document(deep, "x.yaml", 1)])
    assert {each.subject for each in found.findings} <= {f"{deep['kind']}/default/deep"}
    assert "default/welcome" in found.plans.flows


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize(
    ("step", "extra", "subject"),
    [
        ("compile_event_type", "event", "EventType/default/bomb"),
        ("compile_policy", "policy", "ContactPolicy/default/bomb"),
        ("compile_provider", "provider", "EmailProvider/default/bomb"),
        ("compile_flow", "flow", "EmailFlow/default/bomb"),
    ],
)
def test_an_error_of_the_compiler_is_the_objects_own_condition(
    monkeypatch: pytest.MonkeyPatch,
    sound: dict[str, str],
    crash: type[Exception],
    step: str,
    extra: str,
    subject: str,
) -> None:
    make = getattr(compilation, step)

    def explode(report: Any, resource: Any, *more: Any, **named: Any) -> Any:
        if resource.name == "bomb":
            raise crash
        return make(report, resource, *more, **named)

    monkeypatch.setattr(compilation, step, explode)
    name = sound[extra].partition("name: ")[2].partition("}")[0]
    bomb = sound[extra].replace(f"name: {name}", "name: bomb").replace("type: com.example", "type: com.bomb")
    found = compile_resources(documents_of(sound, bomb))
    assert [each.subject for each in found.findings] == [subject]
    assert found.findings[0].reason in {"InternalError", "CompileTooLarge", "TooComplex"}
    assert "default/welcome" in found.plans.flows


def test_an_error_of_the_compiler_about_the_runtime_is_the_runtimes_own(
    monkeypatch: pytest.MonkeyPatch, sound: dict[str, str]
) -> None:
    monkeypatch.setattr(compilation, "warn_of_no_links", lambda *_: None)
    make, bombs = compilation.compile_runtime, iter([RuntimeError])

    def explode(*given: Any) -> Any:
        for bomb in bombs:
            raise bomb
        return make(*given)

    monkeypatch.setattr(compilation, "compile_runtime", explode)
    found = compile_resources(documents_of(sound))
    reasons = {each.subject: each.reason for each in found.findings}
    assert reasons["EmailRuntime/default/default"] == "InternalError"
    assert found.plans.flows == {}


def test_what_was_given_up_is_broken_without_being_looked_at(sound: dict[str, str]) -> None:
    subject = "EmailTemplate/default/hello"
    finding = Finding(Severity.ERROR, "CompileTimeout", subject, "", "takes too long to compile")
    begun: list[str] = []
    found = compile_resources(documents_of(sound), given_up={subject: finding}, begin=begun.append)
    assert [(each.subject, each.reason) for each in found.findings] == [
        (subject, "CompileTimeout"),
        ("EmailFlow/default/welcome", "TemplateNotFound"),
    ]
    assert begun.count(subject) == 1  # in its place among the documents, and never again
    assert begun.count("EmailFlow/default/welcome") == 2


def test_an_object_has_only_so_many_findings(sound: dict[str, str]) -> None:
    event = sound["event"].replace("spec: {", "spec: {sensitive: [" + "'-'," * 5000 + "], ")
    found = compile_resources(documents_of(sound | {"event": event}))
    assert len(found.findings) <= 101


# --- of two contracts for one type, the older one ---------------------------------------------------------


def contract(name: str, created: str = "", **spec: Any) -> Document:
    metadata = {"name": name, **({"creationTimestamp": created} if created else {})}
    value = {"apiVersion": "emailflow.dev/v1alpha1", "kind": "EventType", "metadata": metadata}
    return Document({**value, "spec": {"type": "com.example.booked", **spec}}, "x.yaml", 1)


@pytest.mark.parametrize(
    ("documents", "kept", "refused"),
    [
        (
            [contract("aaa", "2026-02-02T00:00:00Z"), contract("booking", "2026-01-01T00:00:00Z")],
            "booking",
            "aaa",
        ),
        ([contract("b", "2026-01-01T00:00:00Z"), contract("a", "2026-01-01T00:00:00Z")], "a", "b"),
        ([contract("aaa"), contract("booking", "2026-01-01T00:00:00Z")], "booking", "aaa"),
        ([contract("booking"), contract("aaa")], "booking", "aaa"),
    ],
    ids=["the older", "of the same age: by name", "what is there before what comes", "files: the first"],
)
def test_a_new_contract_takes_no_type_over(
    sound: dict[str, str], documents: list[Document], kept: str, refused: str
) -> None:
    found = compile_resources([*documents_of(sound), *documents])
    [finding] = found.findings
    assert (finding.reason, finding.subject) == ("DuplicateType", f"EventType/default/{refused}")
    assert kept in finding.message
    assert found.plans.event_types["com.example.booked"].name == kept


@pytest.mark.parametrize("broken", [{"schema": {"type": "banana"}}, {"nonsense": True}])
def test_a_contract_that_is_broken_keeps_its_type(sound: dict[str, str], broken: dict[str, Any]) -> None:
    old = contract("booking", "2026-01-01T00:00:00Z", **broken)
    found = compile_resources([*documents_of(sound), contract("aaa", "2026-02-02T00:00:00Z"), old])
    assert {each.subject: each.reason for each in found.findings}["EventType/default/aaa"] == "DuplicateType"
    assert "com.example.booked" not in found.plans.event_types
