"""The link in a mail: looking at it changes nothing, one POST is enough, and it holds for the next mail."""

import json
import re
import urllib.error
import urllib.request

from .conftest import Dev, until

KIND = "com.example.signed_up"
BODY = {"email": "ana@example.com", "name": "Ana"}


def open_link(url: str, data: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(url, data=data, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def unsubscribe_link(dev: Dev, mail: str = "latest") -> str:
    with urllib.request.urlopen(f"{dev.url}/api/v1/message/{mail}/headers", timeout=20) as answer:
        headers = json.load(answer)
    assert headers["List-Unsubscribe-Post"] == ["List-Unsubscribe=One-Click"]
    found = re.fullmatch(r"<(http://[^>]+)>", headers["List-Unsubscribe"][0])
    assert found is not None
    return found[1]


def greet(dev: Dev, number: int) -> None:
    """Ana signs up again, and somebody else after her, whose mail shows that hers has been decided."""
    dev.post(KIND, BODY, f"ana-{number}")
    dev.post(KIND, {"email": f"b{number}@example.com", "name": f"B{number}"}, f"b-{number}")
    assert until(lambda: f"Hello B{number}" in dev.subjects())


def test_one_post_to_the_link_is_enough(dev: Dev) -> None:
    dev.post(KIND, BODY, "first")
    assert until(dev.subjects) == ["Hello Ana"]
    link = unsubscribe_link(dev)
    assert open_link(link) == 200
    greet(dev, 1)
    assert dev.subjects().count("Hello Ana") == 2
    assert open_link(link, b"List-Unsubscribe=One-Click") == 200
    greet(dev, 2)
    assert dev.subjects().count("Hello Ana") == 2


def test_a_link_that_somebody_changed_is_refused(dev: Dev) -> None:
    dev.post(KIND, BODY, "first")
    assert until(dev.subjects)
    link = unsubscribe_link(dev)
    changed = link[:-3] + ("AAA" if not link.endswith("AAA") else "BBB")
    assert open_link(changed) == 400
    assert open_link(changed, b"") == 400


def flow(name: str, kind: str, policy: str = "") -> str:
    """A flow that greets whom an event is about, and its template."""
    spec = f"policyRef: {{name: {policy}}}" if policy else ""
    return f"""
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: {name}}}
spec:
  {spec}
  trigger: {{types: [{kind}]}}
  steps: [{{name: hello, send: {{templateRef: {{name: {name}}}}}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: {name}}}
spec: {{subject: "{name} {{{{ event.data.name }}}}", markdown: "Hi"}}
"""


def policy(name: str) -> str:
    """A policy of the one topic."""
    return f"""
apiVersion: emailflow.dev/v1alpha1
kind: ContactPolicy
metadata: {{name: {name}}}
spec: {{topic: offers, consent: OptOut}}
"""


def probe(dev: Dev, kind: str, subject: str) -> bool:
    """Whether somebody new gets this mail: then what was saved is live."""
    number = len(dev.mails()) + 1000
    dev.post(kind, {"email": f"p{number}@example.com", "name": "probe"}, f"probe-{kind}-{number}")
    return bool(until(lambda: subject in dev.subjects(), 2))


def test_a_link_holds_when_policy_flow_and_template_are_gone(dev: Dev) -> None:
    """And it holds for another policy of its topic, which comes later."""
    file, rules = dev.folder / "flow.yaml", dev.folder / "policy.yaml"
    rules.write_text(policy("first"))
    file.write_text(flow("first", KIND, "first"))
    assert until(lambda: probe(dev, KIND, "first probe"))
    dev.post(KIND, BODY, "first")
    assert until(lambda: "first Ana" in dev.subjects())
    (mail,) = (each["ID"] for each in dev.mails() if each["Subject"] == "first Ana")
    link = unsubscribe_link(dev, mail)

    rules.unlink()
    file.write_text(flow("other", "com.example.other"))
    assert until(lambda: probe(dev, "com.example.other", "other probe"))
    assert open_link(link) == 200
    assert open_link(link, b"List-Unsubscribe=One-Click") == 200

    rules.write_text(policy("second"))
    file.write_text(flow("again", KIND, "second"))
    assert until(lambda: probe(dev, KIND, "again probe"))
    dev.post(KIND, BODY, "second")
    dev.post(KIND, {"email": "ben@example.com", "name": "Ben"}, "ben")
    assert until(lambda: "again Ben" in dev.subjects())
    assert "again Ana" not in dev.subjects()
