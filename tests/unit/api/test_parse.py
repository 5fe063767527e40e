"""What people are told about a document that is not a resource: everything at once, each with its path."""

import pytest
import yaml

from emailflow_api.errors import ApiError, Finding, Severity
from emailflow_api.kinds import EmailFlow, InvalidResource, parse


def findings(document):
    with pytest.raises(InvalidResource) as refusal:
        parse(document)
    return refusal.value.findings


def flow(*, trigger="{types: [com.example.signed_up]}", steps="[{name: fin, end: {}}]", more=""):
    return yaml.safe_load(
        f"""
        apiVersion: emailflow.dev/v1alpha1
        kind: EmailFlow
        metadata: {{name: onboarding, namespace: shop}}
        spec:
          trigger: {trigger}
          steps: {steps}
          {more}
        """
    )


def test_a_resource_comes_back_as_its_kind():
    resource = parse(flow())
    assert isinstance(resource, EmailFlow)
    assert (resource.namespace, resource.name) == ("shop", "onboarding")


def test_a_wrong_type_is_told_with_path_value_and_expectation():
    [finding] = findings(flow(more="suspend: 'yes'"))
    assert finding == Finding(
        Severity.ERROR,
        "InvalidValue",
        "EmailFlow/shop/onboarding",
        "spec.suspend",
        'is "yes"',
        "a valid boolean",
    )


def test_everything_wrong_is_told_at_once():
    document = flow(
        trigger="{types: [], reentry: Never}",
        steps="[{name: a, wait: {for: 1h}}, {name: b, send: {templateRef: {}}}, {name: c}]",
        more="suspnd: true",
    )
    assert {finding.path for finding in findings(document)} == {
        "spec.trigger.types",
        "spec.trigger.reentry",
        "spec.steps[0].wait.for",
        "spec.steps[1].send.templateRef.name",
        "spec.steps[2]",
        "spec.suspnd",
    }


def test_a_misspelled_field_is_answered_with_the_right_one():
    [finding] = findings(flow(more="suspnd: true"))
    assert (finding.reason, finding.path, finding.expected) == ("UnknownField", "spec.suspnd", "suspend")


def test_a_field_like_no_other_is_answered_with_all_there_are():
    [finding] = findings(flow(steps="[{name: fin, end: {zzz: 1}}]"))
    assert (finding.path, finding.expected) == ("spec.steps[0].end.zzz", "one of result")


def test_a_missing_field_is_told_with_its_path():
    document = flow(steps="[{name: a, send: {}}]")
    [finding] = findings(document)
    assert (finding.reason, finding.path) == ("MissingField", "spec.steps[0].send.templateRef")


def test_a_number_where_text_belongs_is_to_be_quoted():
    [finding] = findings(flow(steps="[{name: a, wait: {until: {time: 1320}}}]"))
    assert finding.path == "spec.steps[0].wait.until.time"
    assert finding.expected == "a string; put it in quotes"


def test_a_pattern_is_told_in_words():
    [finding] = findings(flow(steps="[{name: a, wait: {for: 90 minutes}}]"))
    assert finding.message == 'is "90 minutes"'
    assert finding.expected == "an ISO 8601 duration such as PT1H or P1D"


def test_two_actions_in_a_step_are_named():
    [finding] = findings(flow(steps="[{name: a, end: {}, wait: {for: PT1H}}]"))
    assert finding.path == "spec.steps[0]"
    assert finding.message.endswith("found wait and end")


def test_an_object_is_wanted_where_a_scalar_is():
    [finding] = findings(flow(trigger="com.example.signed_up"))
    assert (finding.path, finding.expected) == ("spec.trigger", "an object")


def test_keys_of_maps_stand_in_the_path():
    [finding] = findings(flow(trigger="{types: [t], filters: [{exact: {source: 7}}]}"))
    assert finding.path == 'spec.trigger.filters[0].exact["source"]'


def test_long_values_are_not_repeated():
    [finding] = findings(flow(steps=f"[{{name: a, wait: {{for: {'x' * 5000}}}}}]"))
    assert len(finding.message) < 60


@pytest.mark.parametrize("name", ["shop.onboarding", "Onboarding", "-a", "a" * 64, ""])
def test_names_are_labels(name):
    document = flow()
    document["metadata"]["name"] = name
    assert {finding.path for finding in findings(document)} == {"metadata.name"}


def test_a_trailing_newline_is_not_overlooked():
    document = flow(steps="[{name: a, wait: {for: PT1H}}]")
    document["spec"]["steps"][0]["wait"]["for"] = "PT1H\n"
    [finding] = findings(document)
    assert finding.path == "spec.steps[0].wait.for"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"kind": "Newsletter"}, "kind"),
        ({"kind": ["EmailFlow"]}, "kind"),
        ({"apiVersion": "emailflow.dev/v2"}, "apiVersion"),
        ({"apiVersion": None}, "apiVersion"),
    ],
)
def test_another_kind_or_version_is_told_as_such(change, path):
    [finding] = findings(flow() | change)
    assert (finding.reason, finding.path) == ("UnknownKind", path)


@pytest.mark.parametrize("document", [None, [], "EmailFlow", 7])
def test_what_is_no_object_is_refused(document):
    [finding] = findings(document)
    assert finding.expected == "an object with kind and spec"


def test_the_error_shows_every_finding():
    document = flow(more="suspnd: true", steps="[{name: a}]")
    with pytest.raises(ApiError) as refusal:
        parse(document)
    assert "spec.suspnd" in str(refusal.value)
    assert "spec.steps[0]" in str(refusal.value)


@pytest.mark.parametrize(
    "duration", ["PT0S", "PT30S", "PT90M", "PT24H", "P1D", "P2DT12H", "P3W", "PT1H30M", "PT1H0M5S"]
)
def test_durations_of_iso_8601_are_accepted(duration):
    step = parse(flow(steps=f"[{{name: a, wait: {{for: {duration}}}}}]")).spec.steps[0]
    assert step.wait.for_ == duration


@pytest.mark.parametrize("duration", ["P", "PT", "P1", "1h", "P1DT", "pt1h", "-PT1H", "P1M", "P1Y", "P1W2D"])
def test_other_durations_are_refused(duration):
    [finding] = findings(flow(steps=f"[{{name: a, wait: {{for: {duration}}}}}]"))
    assert finding.path == "spec.steps[0].wait.for"
