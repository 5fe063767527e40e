"""Paths that no contract has are doubted; paths that may be there are not."""

import pytest

from emailflow_api.compile.contracts import unknown_paths

CART = {
    "type": "object",
    "properties": {
        "total": {"type": "number"},
        "customer": {"type": "object", "properties": {"email": {"type": "string"}}},
        "labels": {"type": "object"},
        "extra": {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
        "closed": {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        "either": {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}], "properties": {"c": {}}},
        "first-name": {"type": "string"},
        "items": {"type": "array"},
    },
}
ORDER = {"type": "object", "properties": {"total": {}, "order_id": {}}}


def doubted(text: str, *types: str) -> list[tuple[str, str]]:
    known = {"cart": CART, "order": ORDER}
    found = unknown_paths(text, {"event": types or ("cart",), "trigger": ("order",)}, known)
    return [(each.path, each.known) for each in found]


@pytest.mark.parametrize(
    ("text", "path", "known"),
    [
        ("event.data.totl > 1", "event.data.totl", "total"),
        ("event.data.customer.mail", "event.data.customer.mail", "email"),
        ("event.data.closed.b == 1", "event.data.closed.b", "one of a"),
        ("event.data['last-name']", "event.data.last-name", "first-name"),
        (
            "has(event.data.zzz)",
            "event.data.zzz",
            "one of closed, customer, either, extra, first-name, items, labels, total",
        ),
        ("1 == 1 && trigger.data.cart == 'event.data.total'", "trigger.data.cart", "one of order_id, total"),
        ("event . data . totl", "event.data.totl", "total"),
        ("event.data.totl.size() > 0", "event.data.totl", "total"),
    ],
)
def test_a_path_that_no_contract_has(text: str, path: str, known: str) -> None:
    assert doubted(text) == [(path, known)]


@pytest.mark.parametrize(
    "text",
    [
        "event.data.total > 1.0 && event.data.customer.email != ''",
        "event.data.labels.anything.below == 1",
        "event.data.extra.b == 1",
        "event.data.either.b == 1",
        "event.data['first-name'].lowerAscii()",
        "event.data.items.exists(item, item.sku == 'x')",
        "event.data.size() > 1",
        "event.type == 'x' && event.dataschema == 'y'",
        "'event.data.nope' != \"event.data.nope\"",
        "contact.traits.event.data.nope == 1",
        "event.data.items[0].nope == 1",
        "true // event.data.nope",
    ],
)
def test_a_path_that_may_be_there(text: str) -> None:
    assert doubted(text) == []


def test_one_type_that_has_the_path_is_enough() -> None:
    assert doubted("event.data.order_id", "cart", "order") == []
    assert doubted("event.data.nope", "cart", "order") != []


def test_a_type_without_a_contract_may_have_any_path() -> None:
    assert doubted("event.data.nope", "cart", "unheard.of") == []


def test_a_wrong_letter_in_a_flow_is_a_warning(compile_text, sound) -> None:
    event = sound["event"].replace("type: com", "schema: {properties: {plan: {}}}, type: com")
    flow = sound["flow"].replace("types: [", "key: event.data.pln, types: [")
    found = compile_text(event=event, flow=flow)
    [finding] = found.findings
    assert (finding.reason, finding.path, finding.expected) == ("UnknownPath", "spec.trigger.key", "plan")
    assert "default/welcome" in found.plans.flows
