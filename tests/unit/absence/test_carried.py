"""What stays in force when objects break or go: one table for the operator and `emailflow dev`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emailflow_api.plans import Plans, content_hash
from emailflow_api.reading import read_documents
from emailflow_operator.reconcile.desired import compile_for, plans_in_force
from emailflow_runtime.wiring.folder import folder_at

MANIFESTS = {
    "runtime": """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {name: default, namespace: shop}
spec: {nats: {url: "nats://localhost"}, defaults: {providerRef: {name: relay}, policyRef: {name: offers}}}
""",
    "provider": """
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: relay, namespace: shop}
spec: {type: Smtp, smtp: {host: mx.example.com}, from: {address: a@example.com}}
""",
    "policy": """
apiVersion: emailflow.dev/v1alpha1
kind: ContactPolicy
metadata: {name: offers, namespace: shop}
spec: {topic: offers, consent: OptIn}
""",
    "event": """
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {name: cart, namespace: shop}
spec: {type: com.example.cart, contact: {email: event.data.customer.email}}
""",
    "layout": """
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: base, namespace: shop}
spec: {subject: s, html: "<p>{% block content %}{% endblock %}</p>"}
""",
    "template": """
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: reminder, namespace: shop}
spec: {subject: s, html: "{% block content %}h{% endblock %}", layoutRef: {name: base}}
""",
    "files": """
apiVersion: v1
kind: ConfigMap
metadata: {name: files, namespace: shop}
data: {terms.txt: "terms"}
""",
    "flow": """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: cart, namespace: shop, generation: 1}
spec:
  trigger: {types: [com.example.cart]}
  steps:
    - name: remind
      send:
        templateRef: {name: reminder}
        attachments: [{name: terms.txt, configMapKeyRef: {name: files, key: terms.txt}}]
""",
}
BROKEN = {
    "provider": MANIFESTS["provider"].replace("host:", "hots:"),
    "policy": MANIFESTS["policy"].replace("OptIn", "OptInn"),
    "event": MANIFESTS["event"].replace("event.data.customer.email", "event.data."),
    "layout": MANIFESTS["layout"].replace("{% endblock %}", ""),
    "template": MANIFESTS["template"].replace("h{% endblock %}", "{{ h"),
    "flow": MANIFESTS["flow"].replace("steps:", "continueIf: contact.\n  steps:"),
    "flow that names nothing": MANIFESTS["flow"].replace("reminder", "reminders"),
}
Said = dict[str, str]
Apply = Callable[[Said, Plans | None], Plans]


def by_operator(said: Said, before: Plans | None) -> Plans:
    documents = [document for text in said.values() for document in read_documents(text, "cluster")]
    plans = plans_in_force(("shop", "default"), compile_for(("shop", "default"), documents, {}), before, {})
    assert plans is not None
    return plans


@pytest.fixture(params=["operator", "emailflow dev"])
def apply(request: pytest.FixtureRequest, tmp_path: Path) -> Apply:
    """The plans in force, where these objects are there and those plans were in force before."""

    def by_folder(said: Said, before: Plans | None) -> Plans:
        for name in MANIFESTS:
            (tmp_path / f"{name}.yaml").write_text(said.get(name, ""))
        return folder_at(tmp_path).in_force(before, 0)

    return by_operator if request.param == "operator" else by_folder


def without(*names: str) -> Said:
    return {name: text for name, text in MANIFESTS.items() if name not in names}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_goes_on_by_its_last_good_version(apply: Apply, name: str) -> None:
    before = apply(MANIFESTS, None)
    after = apply({**MANIFESTS, name.partition(" ")[0]: BROKEN[name]}, before)
    assert after == before


@pytest.mark.parametrize("name", ["event", "layout", "template", "files"])
def test_what_a_flow_names_goes_on_when_it_is_deleted(apply: Apply, name: str) -> None:
    before = apply(MANIFESTS, None)
    gone = apply(without(name), before)
    assert gone.flows == before.flows
    assert gone.files == before.files
    assert gone.event_types == before.event_types
    assert gone.templates["shop/reminder"] == before.templates["shop/reminder"]
    assert apply(MANIFESTS, gone) == before


@pytest.mark.parametrize("name", ["template", "files"])
def test_a_flow_that_drains_keeps_what_it_names(apply: Apply, name: str) -> None:
    before = apply(MANIFESTS, None)
    gone = apply(without("flow", name), before)
    assert gone.flows["shop/cart"].deleted
    assert gone.templates == before.templates
    assert gone.files == before.files


def test_what_nothing_names_any_more_goes(apply: Apply) -> None:
    other = MANIFESTS["flow"].replace("com.example.cart", "com.example.other").replace("reminder", "base")
    other = other.replace("        attachments", "#")
    before = apply({**MANIFESTS, "flow": other}, None)
    gone = apply({**without("event", "template", "files"), "flow": other}, before)
    assert (gone.event_types, gone.files, list(gone.templates)) == ({}, {}, ["shop/base"])


@pytest.mark.parametrize(("name", "field"), [("policy", "policies"), ("provider", "providers")])
def test_a_policy_or_provider_that_is_deleted_does_not_go_on(apply: Apply, name: str, field: str) -> None:
    before = apply(MANIFESTS, None)
    gone = apply(without(name), before)
    assert gone.flows == before.flows
    assert "offers" not in gone.policies or name != "policy"
    assert getattr(before, field)
    assert "relay" not in gone.providers or name != "provider"


def test_a_policy_that_is_made_again_counts_as_it_is_now(apply: Apply) -> None:
    gone = apply(without("policy"), apply(MANIFESTS, None))
    again = apply({**MANIFESTS, "policy": MANIFESTS["policy"].replace("OptIn", "OptOut")}, gone)
    assert again.policies["offers"].consent == "OptOut"


@pytest.mark.parametrize("wrong", ["broken", "policy gone"])
def test_a_flow_can_be_suspended_whatever_else_is_wrong(apply: Apply, wrong: str) -> None:
    before = apply(MANIFESTS, None)
    text = BROKEN["flow"] if wrong == "broken" else MANIFESTS["flow"]
    said = {**(MANIFESTS if wrong == "broken" else without("policy")), "flow": text + "  suspend: true\n"}
    assert apply(said, before).flows["shop/cart"].suspend


def test_a_broken_provider_can_be_suspended(apply: Apply) -> None:
    bad = (
        MANIFESTS["provider"]
        .replace("a@example.com", "a@ex..com")
        .replace("spec: {", "spec: {suspend: true, ")
    )
    assert apply({**MANIFESTS, "provider": bad}, apply(MANIFESTS, None)).providers["relay"].suspend


def test_a_revision_whose_program_is_lost_holds_nobody(apply: Apply) -> None:
    before = apply(MANIFESTS, None)
    revised = apply({**MANIFESTS, "flow": MANIFESTS["flow"] + "  continueIf: 'true'\n"}, before)
    old = before.flows["shop/cart"].revision
    assert revised.flows["shop/cart"].earlier == (old,)
    del revised.programs[old]
    assert (
        apply({**MANIFESTS, "flow": MANIFESTS["flow"] + "  continueIf: 'true'\n"}, revised)
        .flows["shop/cart"]
        .earlier
        == ()
    )


# --- a folder alone -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["runtime", "policy", "event", "template", "files", "flow", "provider"])
def test_what_a_file_declared_that_can_no_longer_be_read_stays(tmp_path: Path, name: str) -> None:
    for each, text in MANIFESTS.items():
        (tmp_path / f"{each}.yaml").write_text(text)
    before = folder_at(tmp_path).in_force(None, 0)
    (tmp_path / f"{name}.yaml").write_text("kind: {")
    after = folder_at(tmp_path).in_force(before, 0)
    assert content_hash(after) == content_hash(before)


def test_a_runtime_that_is_broken_leaves_everything_as_it_is(tmp_path: Path) -> None:
    for each, text in MANIFESTS.items():
        (tmp_path / f"{each}.yaml").write_text(text)
    before = folder_at(tmp_path).in_force(None, 0)
    (tmp_path / "runtime.yaml").write_text(MANIFESTS["runtime"].replace("policyRef", "policy"))
    assert folder_at(tmp_path).in_force(before, 0) == before
