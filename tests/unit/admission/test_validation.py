"""What `kubectl apply` hears: refusals for what the object itself shows, warnings for what others mend."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emailflow_operator.admission.review import InvalidReview, read_request, validate

CONTRACT = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
TIGHTER = {**CONTRACT, "required": ["id", "total"]}


def contract(resource, readers):
    spec = {"type": "com.example.joined", "readers": readers}
    return resource("EventType", "joined", spec, namespace="mail")


def message(response):
    assert response["allowed"] is False
    assert response["status"]["code"] == 422
    return response["status"]["message"]


def test_a_sound_flow_with_all_it_needs_passes_without_a_word(judged, flow, neighbours):
    assert judged(flow(), others=neighbours) == {"uid": "u1", "allowed": True}


def test_an_unknown_field_is_refused_with_its_path_and_the_one_that_was_meant(judged, flow):
    wrong = flow(steps=[{"name": "greet", "send": {"templateref": {"name": "hello"}}}])
    assert "spec.steps[0].send.templateref: unknown field (expected templateRef)" in message(judged(wrong))


def test_cel_that_does_not_compile_is_refused(judged, flow):
    said = message(judged(flow(continueIf="contact.traits.plan =="), others=()))
    assert said.startswith("spec.continueIf: ")
    assert "[InvalidExpression]" in said


def test_jinja2_that_does_not_parse_is_refused(judged, resource):
    said = message(judged(resource("EmailTemplate", "t", {"subject": "{{ oops", "html": "<p></p>"})))
    assert said.startswith("spec.subject: ")
    assert "[TemplateSyntaxError]" in said


def test_config_maps_are_taken_as_there_since_nobody_has_read_them(judged, flow, neighbours, resource):
    """The operator reads them, and says in the status what is wrong with them."""
    reference = {"name": "files", "key": "a"}
    body = {"bodyFrom": {"configMapKeyRef": reference, "format": "html"}}
    base = resource("EmailTemplate", "base", {"subject": "x", **body})
    hello = resource("EmailTemplate", "hello", {"subject": "x", **body, "layoutRef": {"name": "base"}})
    send = {
        "templateRef": {"name": "hello"},
        "attachments": [{"name": "terms.pdf", "configMapKeyRef": reference}],
    }
    attaching = flow(steps=[{"name": "greet", "send": send}])
    others = [*neighbours[:2], base, hello]
    assert judged(attaching, others=others) == judged(hello, others=others) == {"uid": "u1", "allowed": True}


def test_a_namespace_that_nobody_has_read_has_its_name_still(judged, flow, neighbours, resource):
    runtime, provider, hello = neighbours
    moved = [{**each, "metadata": {**each["metadata"], "namespace": "mail"}} for each in (runtime, provider)]
    label = {"kubernetes.io/metadata.name": "shop"}
    allowed = {"from": "Selector", "selector": {"matchLabels": label}}
    moved[0]["spec"] = {**moved[0]["spec"], "allowedNamespaces": allowed}
    elsewhere = flow(runtimeRef={"name": "default", "namespace": "mail"})
    shared = contract(resource, {"from": "Selector", "selector": {"matchLabels": label}})
    assert judged(elsewhere, others=[*moved, hello, shared]) == {"uid": "u1", "allowed": True}


def test_everything_that_is_wrong_is_said_at_once(judged, flow):
    wrong = flow(continueIf="((", exitOn=[{"types": ["a"], "filters": [{"cel": "))"}]}])
    said = message(judged(wrong)).splitlines()
    assert [line.partition(":")[0] for line in said] == ["spec.exitOn[0].filters[0].cel", "spec.continueIf"]


def test_a_template_that_is_not_there_yet_is_a_warning(judged, flow, neighbours):
    response = judged(flow(), others=neighbours[:2])
    assert response["allowed"]
    [warning] = response["warnings"]
    assert warning.startswith("spec.steps[0].send.templateRef.name: ")
    assert "TemplateNotFound" in warning


def test_warnings_are_few_and_short_enough_for_kubectl(judged, flow):
    name = "a-template-with-a-name-that-is-as-long-as-names-are-allowed-to-be"[:63]
    steps = [{"name": f"s{n}", "send": {"templateRef": {"name": f"{name[:-2]}{n:02}"}}} for n in range(20)]
    warnings = judged(flow(steps=steps))["warnings"]
    assert len(warnings) == 5
    assert all(len(each) <= 120 and each.isascii() for each in warnings)
    assert warnings[-1].startswith("and ")


def test_without_a_lister_nothing_is_said_of_others(review, flow):
    assert validate(read_request(review(flow())), None)["response"] == {"uid": "u1", "allowed": True}


def test_a_contract_that_breaks_its_promise_is_refused_with_the_place(judged, resource):
    old = resource("EventType", "cart", {"type": "com.example.cart", "schema": CONTRACT})
    new = resource("EventType", "cart", {"type": "com.example.cart", "schema": TIGHTER})
    said = message(judged(new, old))
    assert said.startswith("spec.schema.required: `total` is required now")
    assert "[IncompatibleSchema]" in said


@pytest.mark.parametrize("compatibility", ["None", "Forward"])
def test_the_new_objects_own_word_about_compatibility_counts(judged, resource, compatibility):
    spec = {"type": "com.example.cart", "schema": CONTRACT, "compatibility": "Full"}
    new = {**spec, "schema": TIGHTER, "compatibility": compatibility}
    assert judged(resource("EventType", "cart", new), resource("EventType", "cart", spec))["allowed"]


def test_a_schema_of_another_type_is_another_contract(judged, resource):
    old = resource("EventType", "cart", {"type": "com.example.cart", "schema": CONTRACT})
    new = resource("EventType", "cart", {"type": "com.example.order", "schema": TIGHTER})
    assert judged(new, old)["allowed"]


def test_labels_of_what_is_wrong_already_can_still_be_changed(judged, flow):
    broken = flow(continueIf="((")
    labelled = {**broken, "metadata": {**broken["metadata"], "labels": {"a": "b"}}}
    response = judged(labelled, broken)
    assert response["allowed"]
    assert "InvalidExpression" in response["warnings"][0]


def test_what_is_being_deleted_can_go(judged, flow):
    going = flow(continueIf="((")
    going["metadata"]["deletionTimestamp"] = "2026-03-07T20:00:00Z"
    assert judged(going, flow())["allowed"]


@pytest.mark.parametrize(
    "request_", [{"operation": "DELETE"}, {"subResource": "status"}, {"kind": {"kind": "Pod"}}]
)
def test_what_is_no_change_of_a_resource_passes(judged, flow, request_):
    assert judged(flow(continueIf="(("), **request_)["allowed"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b'{"apiVersion": "admission.k8s.io/v1beta1"}', b"[" * 99_999]
)
def test_a_body_that_is_no_review_is_named_as_such(body):
    with pytest.raises(InvalidReview):
        read_request(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
KINDS = st.sampled_from(
    ["EmailFlow", "EmailTemplate", "EmailProvider", "EventType", "ContactPolicy", "EmailRuntime"]
)


@settings(deadline=None)
@given(KINDS, JSON, JSON, JSON)
def test_garbage_gets_an_answer_like_anything_else(judged, kind, spec, metadata, old):
    new = {"apiVersion": "emailflow.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    assert judged(new, old)["uid"] == "u1"


@settings(deadline=None)
@given(st.sampled_from(["trigger", "steps", "exitOn", "runtimeRef", "continueIf", "migrate"]), JSON, JSON)
def test_a_flow_with_garbage_in_it_gets_an_answer(judged, flow, member, garbage, metadata):
    damaged = flow(**{member: garbage})
    assert judged(damaged, flow())["uid"] == "u1"
    assert judged(flow(), {**damaged, "metadata": metadata}, others=[damaged])["uid"] == "u1"


def test_a_path_that_the_contract_does_not_have_is_a_warning(judged, flow, neighbours, resource):
    contract = resource("EventType", "joined", {"type": "com.example.joined", "schema": CONTRACT})
    other = resource("EventType", "other", {"type": "com.example.other", "schema": {"type": "nonsense"}})
    filtered = flow(
        trigger={"types": ["com.example.joined"], "filters": [{"cel": "event.data.totl > 0"}]},
    )
    [warning] = judged(filtered, others=[*neighbours, contract, other])["warnings"]
    assert warning.startswith("spec.trigger.filters[0].cel: ")
    assert "UnknownPath" in warning


def test_a_second_contract_of_a_type_is_a_warning(judged, neighbours, resource):
    first, second = (resource("EventType", name, {"type": "com.example.joined"}) for name in ("a", "b"))
    assert "DuplicateType" in judged(second, others=[*neighbours, first])["warnings"][0]


def test_a_layout_of_the_runtimes_namespace_is_found(judged, flow, neighbours, resource):
    layout = {"subject": "x", "html": "<p>{% block content %}{% endblock %}</p>"}
    base = resource("EmailTemplate", "base", layout, namespace="mail")
    hello = resource("EmailTemplate", "hello", {"subject": "x", "html": "x", "layoutRef": {"name": "base"}})
    runtime, provider, _ = neighbours
    moved = [{**each, "metadata": {**each["metadata"], "namespace": "mail"}} for each in (runtime, provider)]
    moved[0]["spec"] = {**moved[0]["spec"], "allowedNamespaces": {"from": "All"}}
    elsewhere = flow(runtimeRef={"name": "default", "namespace": "mail"})
    shared = contract(resource, {"from": "All"})
    assert judged(elsewhere, others=[*moved, base, hello, shared]) == {"uid": "u1", "allowed": True}


def test_what_the_platform_has_not_granted_is_a_warning(judged, flow, neighbours, resource):
    """Files arrive in any order, and a grant may come later; the operator holds the flow until then."""
    runtime, provider, hello = neighbours
    moved = [{**each, "metadata": {**each["metadata"], "namespace": "mail"}} for each in (runtime, provider)]
    moved[0]["spec"] = {**moved[0]["spec"], "allowedNamespaces": {"from": "All"}}
    receipts = resource("ContactPolicy", "receipts", {"topic": "r", "transactional": True}, namespace="mail")
    send = {"templateRef": {"name": "hello"}, "from": {"address": "a@bank.example"}, "bcc": ["'x@evil.io'"]}
    greedy = flow(
        runtimeRef={"name": "default", "namespace": "mail"},
        policyRef={"name": "receipts"},
        steps=[{"name": "greet", "send": send}],
    )
    response = judged(greedy, others=[*moved, hello, receipts, contract(resource, {"from": "Same"})])
    assert response["allowed"]
    said = " ".join(response["warnings"])
    for reason in ("NotAReader", "NotAUser", "NotASender", "OtherRecipientsRefused"):
        assert f"[{reason}]" in said
