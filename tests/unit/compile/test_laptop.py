"""What `emailflow dev` fills in, and where mails really go on a laptop (DESIGN section 6)."""

from emailflow_api.plans import Catcher, Smtp


def test_a_folder_without_runtime_and_provider_gets_one_of_each_named_default(compile_text):
    found = compile_text(runtime="", provider="", laptop=True)
    assert found.findings == ()
    assert (found.plans.runtime.namespace, found.plans.runtime.name) == ("default", "default")
    assert found.plans.runtime.default_provider == "default"
    assert isinstance(found.plans.providers["default"].transport, Catcher)
    assert "default/welcome" in found.plans.flows


def test_the_catcher_stands_in_for_a_provider(compile_text):
    assert isinstance(compile_text(laptop=True).plans.providers["relay"].transport, Catcher)


def test_a_provider_annotated_deliver_really_sends(compile_text, sound):
    told = sound["provider"].replace(
        "{name: relay}", "{name: relay, annotations: {emailflow.dev/deliver: 'true'}}"
    )
    transport = compile_text(provider=told, laptop=True).plans.providers["relay"].transport
    assert isinstance(transport, Smtp)
    assert transport.host == "smtp.example.com"


def test_any_other_word_for_deliver_is_a_no(compile_text, sound):
    told = sound["provider"].replace(
        "{name: relay}", "{name: relay, annotations: {emailflow.dev/deliver: 'yes'}}"
    )
    assert isinstance(compile_text(provider=told, laptop=True).plans.providers["relay"].transport, Catcher)


def test_in_a_cluster_nothing_is_caught(compile_text):
    assert isinstance(compile_text().plans.providers["relay"].transport, Smtp)


SES = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: relay}
spec: {type: Ses, ses: {region: eu-west-1}, from: {address: shop@example.com}}
"""


def test_what_a_cluster_refuses_is_caught_with_a_warning(compile_text):
    found = compile_text(provider=SES, laptop=True)
    assert [(each.severity.value, each.reason) for each in found.findings] == [("Warning", "NotSupportedYet")]
    assert isinstance(found.plans.providers["relay"].transport, Catcher)


def test_for_a_cluster_it_is_an_error(compile_text):
    found = compile_text(provider=SES, laptop=True, for_cluster=True)
    reasons = {each.reason for each in found.findings if each.severity.value == "Error"}
    assert reasons == {"NotSupportedYet", "NoProvider"}


def test_a_folder_for_a_cluster_needs_no_runtime_of_its_own(compile_text):
    found = compile_text(runtime="", provider="", laptop=True, for_cluster=True)
    assert found.findings == ()
    assert "default/welcome" in found.plans.flows


def test_for_a_cluster_a_mail_has_to_be_from_somebody(compile_text, sound):
    silent = sound["provider"].replace(", from: {address: shop@example.com}", "")
    found = compile_text(provider=silent, laptop=True, for_cluster=True)
    assert [each.reason for each in found.findings] == ["NoSender"]


def test_a_caught_mail_may_come_from_anybody(compile_text, sound):
    silent = sound["provider"].replace(", from: {address: shop@example.com}", "")
    found = compile_text(provider=silent, laptop=True)
    assert found.findings == ()
    assert found.plans.providers["relay"].sender.address == "hello@example.com"
