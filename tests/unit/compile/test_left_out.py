"""An object with an error is left out with what depends on it; the rest is compiled, all errors at once."""

import pytest


def test_a_broken_template_takes_only_its_flow_along(compile_text, sound):
    other = sound["template"].replace("{name: hello}", "{name: bye}")
    other_flow = sound["flow"].replace("{name: welcome}", "{name: farewell}").replace("hello", "bye")
    found = compile_text(
        template=sound["template"].replace("subject: Hello", 'subject: "{% if %}"'),
        extra=f"{other}---\n{other_flow}",
    )
    assert set(found.plans.templates) == {"default/bye"}
    assert set(found.plans.flows) == {"default/farewell"}
    assert {(each.reason, each.subject) for each in found.findings} == {
        ("TemplateSyntaxError", "EmailTemplate/default/hello"),
        ("TemplateNotFound", "EmailFlow/default/welcome"),
    }


def test_a_template_that_is_no_resource_takes_its_flow_along(compile_text, sound):
    found = compile_text(template=sound["template"].replace("subject: Hello, ", ""))
    assert found.plans.templates == {}
    assert found.plans.flows == {}


def test_a_flow_that_is_left_out_leaves_no_program(compile_text, sound):
    assert compile_text(flow=sound["flow"].replace("hello", "nope")).plans.programs == {}


def test_a_broken_contract_stops_no_flow(compile_text, sound):
    found = compile_text(event=sound["event"].replace("spec: {", "spec: {schema: {type: banana}, "))
    assert found.plans.event_types == {}
    assert "default/welcome" in found.plans.flows


def test_all_errors_of_all_objects_come_at_once(compile_text, sound):
    found = compile_text(
        runtime=sound["runtime"].replace("{defaults: {", "{defaults: {timezone: Mars/Olympus, "),
        template=sound["template"].replace("html:", "layoutRef: {name: nope}, html:"),
        event=sound["event"].replace("spec: {", "spec: {schema: {type: banana}, "),
        flow=sound["flow"] + "    - {name: a, wait: {for: PT1H}, next: nowhere}\n"
        '    - {name: b, send: {templateRef: {name: hello}, to: "1 +"}}\n',
    )
    assert {each.reason for each in found.findings} >= {
        "InvalidTimezone",
        "LayoutNotFound",
        "InvalidSchema",
        "StepNotFound",
        "InvalidExpression",
    }


def test_a_name_declared_twice_keeps_the_first(compile_text, sound):
    found = compile_text(extra=sound["template"].replace("Hello", "Again"))
    assert [each.subject for each in found.findings] == ["EmailTemplate/default/hello"]
    assert found.plans.templates["default/hello"].subject == "Hello"


def test_objects_of_others_are_passed_by(compile_text):
    other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {}\n"
    assert compile_text(extra=other).findings == ()


@pytest.mark.parametrize("kind", ["provider", "policy", "event"])
def test_the_platforms_objects_count_only_beside_their_runtime(compile_text, sound, kind):
    far = sound[kind].replace("metadata: {", "metadata: {namespace: far, ", 1)
    found = compile_text(extra=far)
    assert [each.reason for each in found.findings] == ["OtherNamespace"]
    assert found.findings[0].path == "metadata.namespace"
