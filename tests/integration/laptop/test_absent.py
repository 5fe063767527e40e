"""What is deleted or broken in the folder of `emailflow dev`: nobody is mailed for it, or lost by it."""

import urllib.request

from .conftest import FLOW, Dev, until
from .test_unsubscribing import unsubscribe_link

KIND = "com.example.signed_up"
ANA = {"email": "ana@example.com", "name": "Ana"}
POLICY = """
apiVersion: emailflow.dev/v1alpha1
kind: ContactPolicy
metadata: {name: offers}
spec: {topic: offers, consent: OptOut}
"""
OFFER = FLOW.replace("  steps:", "  policyRef: {name: offers}\n  steps:").replace("Hello {{", "Offer {{")


def greeted(dev: Dev, name: str, by: str = "Hello") -> bool:
    return bool(until(lambda: f"{by} {name}" in dev.subjects()))


def offered(dev: Dev) -> bool:
    """Whether the flow that offers is in force: somebody new asks."""
    number = len(dev.subjects())
    dev.post(KIND, {"email": f"u{number}@example.com", "name": "You"}, f"n{number}")
    return "Offer You" in dev.subjects()


def test_deleting_a_policy_mails_nobody_who_has_unsubscribed(dev: Dev) -> None:
    (dev.folder / "policy.yaml").write_text(POLICY)
    (dev.folder / "flow.yaml").write_text(OFFER)
    assert until(lambda: offered(dev))
    dev.post(KIND, ANA, "1")
    assert greeted(dev, "Ana", "Offer")
    link = unsubscribe_link(dev)
    with urllib.request.urlopen(link, data=b"List-Unsubscribe=One-Click", timeout=20) as answer:
        assert answer.status == 200
    (dev.folder / "policy.yaml").unlink()
    asked: list[str] = []

    def held() -> bool:
        asked.append("again")
        dev.post(KIND, {"email": f"h{len(asked)}@example.com", "name": "Somebody"}, f"h{len(asked)}")
        return "mails are held" in dev.log.read_text()

    assert until(held)
    dev.post(KIND, ANA, "2")
    dev.post(KIND, {"email": "bob@example.com", "name": "Bob"}, "3")
    assert "Offer Bob" not in dev.subjects()
    (dev.folder / "policy.yaml").write_text(POLICY)
    assert greeted(dev, "Bob", "Offer")
    assert dev.subjects().count("Offer Ana") == 1


def test_a_file_that_can_not_be_read_deletes_nothing_not_even_at_the_start(dev: Dev) -> None:
    dev.post(KIND, ANA, "1")
    assert greeted(dev, "Ana")
    (dev.folder / "flow.yaml").write_text("kind: {")
    assert until(lambda: "InvalidYaml" in dev.log.read_text())
    dev.post(KIND, {"email": "bob@example.com", "name": "Bob"}, "2")
    assert greeted(dev, "Bob")
    dev.stop()
    dev.start()
    dev.post(KIND, {"email": "cleo@example.com", "name": "Cleo"}, "3")
    assert greeted(dev, "Cleo")
