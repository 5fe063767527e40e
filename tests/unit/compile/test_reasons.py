"""What is wrong with a manifest is said with its reason, where it is, and in words."""

import pytest

FLOW_STEPS = [
    (
        "{name: a, emit: {type: com.example.done}}",
        "NotSupportedYet",
        "spec.steps[0].emit",
        "emit",
    ),
    (
        "{name: a, waitFor: {any: [{types: [com.example.paid], then: end}], timeout: P1D}}",
        "NotSupportedYet",
        "spec.steps[0].waitFor",
        "waitFor",
    ),
    ("{name: a, wait: {for: PT1H}, next: nowhere}", "StepNotFound", "spec.steps[0].next", "nowhere"),
    (
        "{name: a, send: {templateRef: {name: nope}}}",
        "TemplateNotFound",
        "spec.steps[0].send.templateRef.name",
        "default/nope",
    ),
    (
        "{name: a, send: {templateRef: {name: hello}, providerRef: {name: nope}}}",
        "ProviderNotFound",
        "spec.steps[0].send.providerRef.name",
        "nope",
    ),
    (
        '{name: a, send: {templateRef: {name: hello}, skipIf: "1 +"}}',
        "InvalidExpression",
        "spec.steps[0].send.skipIf",
        "",
    ),
    (
        '{name: a, wait: {until: {time: "09:00", timezone: Mars/Olympus}}}',
        "InvalidTimezone",
        "spec.steps[0].wait.until.timezone",
        "Mars/Olympus",
    ),
    ("{name: a, set: {traits: {plan: \"'pro'\"}}}", "NotSupportedYet", "spec.steps[0].set", "set"),
]


@pytest.mark.parametrize(("step", "reason", "path", "piece"), FLOW_STEPS)
def test_a_faulty_step_is_named(compile_text, sound, step, reason, path, piece):
    flow = sound["flow"].partition("    - ")[0] + f"    - {step}\n"
    found = compile_text(flow=flow)
    assert [(each.reason, each.path) for each in found.findings] == [(reason, path)]
    assert piece in found.findings[0].message
    assert found.findings[0].subject == "EmailFlow/default/welcome"
    assert found.plans.flows == {}


REPLACED = [
    ("flow", "kind: EmailFlow", "kind: EmailFlop", "UnknownKind", "kind", ""),
    ("template", "subject: Hello, ", "", "MissingField", "spec.subject", ""),
    ("flow", "types: [com.example.joined]", "types: 3", "InvalidValue", "spec.trigger.types", ""),
    (
        "flow",
        "types: [",
        'filters: [{cesql: "TRUE"}], types: [',
        "NotSupportedYet",
        "spec.trigger.filters[0].cesql",
        "cesql",
    ),
    (
        "policy",
        "topic: offers",
        "topic: offers, priority: 3",
        "NotSupportedYet",
        "spec.priority",
        "no effect yet",
    ),
    ("flow", "{name: offers}", "{name: nope}", "PolicyNotFound", "spec.policyRef.name", "nope"),
    (
        "flow",
        "spec:\n",
        "spec:\n  runtimeRef: {name: far}\n",
        "RuntimeNotFound",
        "spec.runtimeRef",
        "default/far",
    ),
    ("flow", "spec:\n", "spec:\n  revisionPolicy: Migrate\n", "NotSupportedYet", "spec.revisionPolicy", ""),
    ("flow", "spec:\n", "spec:\n  templates: Pinned\n", "NotSupportedYet", "spec.templates", ""),
    ("flow", "spec:\n", "spec:\n  colour: red\n", "UnknownField", "spec.colour", "unknown"),
    ("template", "Hello,", '"{% if %}",', "TemplateSyntaxError", "spec.subject", "line 1"),
    ("template", "html:", "layoutRef: {name: nope}, html:", "LayoutNotFound", "spec.layoutRef.name", "nope"),
    ("template", "html:", "layoutRef: {name: hello}, html:", "NotALayout", "spec.layoutRef.name", "hello"),
    (
        "template",
        "html: <p>Hello</p>",
        "bodyFrom: {format: html, configMapKeyRef: {name: bodies, key: hello}}",
        "ConfigMapNotFound",
        "spec.bodyFrom.configMapKeyRef",
        "default/bodies",
    ),
    ("event", "spec: {", "spec: {schema: {type: banana}, ", "InvalidSchema", "spec.schema", "banana"),
]


@pytest.mark.parametrize(("which", "old", "new", "reason", "path", "piece"), REPLACED)
def test_a_faulty_object_is_named(compile_text, sound, which, old, new, reason, path, piece):
    found = compile_text(**{which: sound[which].replace(old, new, 1)})
    matching = [each for each in found.findings if each.reason == reason]
    assert [each.path for each in matching] == [path]
    assert piece in matching[0].message


def test_a_sound_set_has_no_findings(compile_text):
    assert compile_text().findings == ()


def test_without_any_provider_named_a_send_has_no_way_out(compile_text, sound):
    found = compile_text(runtime=sound["runtime"].replace("defaults: {providerRef: {name: relay}}, ", ""))
    assert [(each.reason, each.path) for each in found.findings] == [("NoProvider", "spec.steps[0].send")]


def test_a_mail_has_to_be_from_somebody(compile_text, sound):
    found = compile_text(provider=sound["provider"].replace(", from: {address: shop@example.com}", ""))
    assert [(each.reason, each.path) for each in found.findings] == [("NoSender", "spec.steps[0].send")]


def test_two_contracts_of_one_type_are_one_too_many(compile_text, sound):
    found = compile_text(extra=sound["event"].replace("name: joined", "name: twin"))
    assert [(each.reason, each.subject) for each in found.findings] == [
        ("DuplicateType", "EventType/default/twin")
    ]
    assert found.plans.event_types["com.example.joined"].name == "joined"


def test_a_step_that_nothing_leads_to_is_only_a_warning(compile_text, sound):
    steps = "    - {name: stop, end: {}}\n    - {name: lost, wait: {for: PT1H}}\n"
    found = compile_text(flow=sound["flow"] + steps)
    assert [(each.reason, each.path) for each in found.findings] == [("Unreachable", "spec.steps[2]")]
    assert "default/welcome" in found.plans.flows


def test_a_second_runtime_is_not_served(compile_text, sound):
    found = compile_text(extra=sound["runtime"].replace("name: default", "name: other"))
    assert [(each.reason, each.subject) for each in found.findings] == [
        ("NotServed", "EmailRuntime/default/other")
    ]


def test_a_target_that_runs_on_into_another_target_is_a_warning(compile_text, sound):
    steps = (
        "    - name: which\n      branch:\n"
        "        cases: [{when: \"contact.traits.plan == 'pro'\", then: pro}]\n        otherwise: free\n"
        "    - {name: pro, wait: {for: PT1H}}\n    - {name: free, wait: {for: PT2H}}\n"
    )
    found = compile_text(flow=sound["flow"] + steps)
    assert [(each.reason, each.path) for each in found.findings] == [("FallsThrough", "spec.steps[2]")]
    assert "default/welcome" in found.plans.flows


def test_a_secret_that_is_not_base64_is_named(compile_text):
    secret = 'apiVersion: v1\nkind: Secret\nmetadata: {name: smtp}\ndata: {password: "%%"}\n'
    found = compile_text(extra=secret)
    assert [(each.reason, each.subject) for each in found.findings] == [
        ("InvalidValue", "Secret/default/smtp")
    ]
    assert "%%" not in found.findings[0].message
