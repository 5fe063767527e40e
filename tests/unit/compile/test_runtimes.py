"""Which runtime a folder is compiled for, and what becomes of flows when there is none to use."""

from emailflow_api.compile import compile_resources
from emailflow_api.errors import Severity
from emailflow_api.plans import Catcher, Delivery
from emailflow_api.reading import read_documents

SHOP = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: hello, namespace: shop}
spec: {subject: Hello, html: <p>Hello</p>}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: welcome, namespace: shop}
spec:
  REFERENCE
  trigger: {types: [com.example.joined]}
  steps: [{name: greet, send: {templateRef: {name: hello}}}]
"""
RUNTIME = """
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {name: main, namespace: mail}
spec: {publicUrl: 'https://mail.example.com', SPEC}
"""


def compile_text(text, *, reference="", **options):
    return compile_resources(read_documents(text.replace("REFERENCE", reference), "f.yaml"), **options)


def reasons(found):
    return [(each.reason, each.subject) for each in found.findings]


def test_a_laptop_serves_flows_whatever_their_namespace():
    found = compile_text(SHOP, laptop=True)
    assert reasons(found) == [("NoPolicy", "EmailFlow/shop/welcome")]
    assert found.plans.runtime.id == "shop_default"
    assert list(found.plans.flows) == ["shop/welcome"]


def test_a_laptop_stands_for_the_runtime_that_the_flows_mean():
    found = compile_text(SHOP, reference="runtimeRef: {name: main, namespace: mail}", laptop=True)
    assert found.plans.runtime.id == "mail_main"
    assert reasons(found) == [("NoPolicy", "EmailFlow/shop/welcome")]
    assert isinstance(found.plans.providers["default"].transport, Catcher)


def test_a_cluster_implies_nothing():
    found = compile_text(SHOP, runtime=("shop", "default"))
    assert ("RuntimeNotFound", "EmailFlow/shop/welcome") in reasons(found)
    assert (found.plans.flows, found.plans.providers) == ({}, {})


def test_a_runtime_with_errors_runs_nothing():
    broken = RUNTIME.replace("SPEC", "defaults: {timezone: Mars/Olympus}, allowedNamespaces: {from: All}")
    found = compile_text(SHOP + broken, reference="runtimeRef: {name: main, namespace: mail}", laptop=True)
    assert reasons(found) == [
        ("InvalidTimezone", "EmailRuntime/mail/main"),
        ("RuntimeNotFound", "EmailFlow/shop/welcome"),
    ]
    assert found.plans.flows == {}


def test_where_mails_really_go_is_part_of_the_runtimes_plan():
    redirect = RUNTIME.replace("SPEC", "delivery: {mode: Redirect, to: qa@example.com}")
    found = compile_text(redirect, runtime=("mail", "main"))
    assert found.findings == ()
    assert found.plans.runtime.delivery == Delivery("Redirect", "qa@example.com")


def test_capturing_holds_on_a_laptop_even_against_the_annotation():
    capture = RUNTIME.replace("SPEC", "delivery: {mode: Capture}, defaults: {providerRef: {name: relay}}")
    relay = """
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: relay, namespace: mail, annotations: {emailflow.dev/deliver: "true"}}
spec: {type: Smtp, smtp: {host: smtp.example.com}}
"""
    found = compile_text(capture + relay, laptop=True)
    assert found.findings == ()
    assert isinstance(found.plans.providers["relay"].transport, Catcher)


def test_flows_of_other_runtimes_are_passed_by():
    found = compile_text(SHOP + RUNTIME.replace("SPEC", ""), runtime=("mail", "main"))
    assert ("RuntimeNotFound", "EmailFlow/shop/welcome") in reasons(found)
    other = (
        RUNTIME.replace("main", "default").replace("namespace: mail", "namespace: shop").replace("SPEC", "")
    )
    found = compile_text(SHOP + RUNTIME.replace("SPEC", "") + other, runtime=("mail", "main"))
    assert found.findings == ()
    assert found.plans.flows == {}


def test_a_resource_without_apiversion_is_not_passed_over():
    found = compile_text("kind: EmailFlow\nmetadata: {name: x}\nspec: {}\n", laptop=True)
    assert reasons(found) == [("UnknownKind", "EmailFlow/default/x")]


def test_kinds_of_the_same_name_in_other_groups_are_none_of_ours():
    knative = (
        "apiVersion: eventing.knative.dev/v1beta2\nkind: EventType\nmetadata: {name: x}\nspec: {type: a}\n"
    )
    assert compile_text(knative, laptop=True).findings == ()


def test_a_receiver_that_is_open_to_everybody_is_warned_of_except_on_a_laptop():
    text = RUNTIME.replace("SPEC", "receiver: {anonymous: true}")
    found = compile_text(text, runtime=("mail", "main"))
    assert reasons(found) == [("ReceiverAnonymous", "EmailRuntime/mail/main")]
    assert [each.severity for each in found.findings] == [Severity.WARNING]
    assert compile_text(text, laptop=True).findings == ()


def test_a_runtime_that_nobody_can_reach_is_warned_of_except_on_a_laptop():
    text = RUNTIME.replace("publicUrl: 'https://mail.example.com', SPEC", "")
    found = compile_text(text, runtime=("mail", "main"))
    assert reasons(found) == [("PublicUrlMissing", "EmailRuntime/mail/main")]
    assert [each.severity for each in found.findings] == [Severity.WARNING]
    assert compile_text(text, laptop=True).findings == ()
