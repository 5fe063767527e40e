"""A policy's cap and a runtime's redirection, from a saved manifest to the inbox."""

from .conftest import FLOW, Dev, until

KIND = "com.example.signed_up"
RUNTIME = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {name: default}
spec: {SPEC}
---
apiVersion: emailflow.dev/v1alpha1
kind: ContactPolicy
metadata: {name: offers}
spec: {topic: offers, caps: [{max: 2, per: P1D}]}
"""


def declare(dev: Dev, spec: str) -> None:
    (dev.folder / "platform.yaml").write_text(RUNTIME.replace("SPEC", spec))


def mail_shows_it(dev: Dev, address: str, to: str) -> bool:
    """Send somebody new one mail, and see whether it went `to` that address: then the change is live."""
    number = len(dev.mails())
    dev.post(KIND, {"email": address, "name": f"N{number}"}, f"probe-{number}")
    assert until(lambda: len(dev.mails()) > number)
    return bool(dev.mails()[0]["To"][0]["Address"] == to)


def test_nobody_gets_more_mails_than_the_cap_allows(dev: Dev) -> None:
    # Every event begins a journey of its own, so that mails of one moment compete for the last place.
    concurrent = FLOW.replace("signed_up]}", "signed_up], reentry: Concurrent}")
    (dev.folder / "flow.yaml").write_text(concurrent)
    declare(dev, "defaults: {policyRef: {name: offers}}, delivery: {mode: Redirect, to: live@example.com}")
    assert until(lambda: mail_shows_it(dev, "probe@example.com", "live@example.com"))
    declare(dev, "defaults: {policyRef: {name: offers}}")
    probes = iter(range(100))
    assert until(lambda: mail_shows_it(dev, p := f"p{next(probes)}@example.com", p))
    for number in range(4):
        assert dev.post(KIND, {"email": "ana@example.com", "name": "Ana"}, f"ana-{number}") == 202
    dev.post(KIND, {"email": "last@example.com", "name": "Last"}, "last")
    assert until(lambda: "Hello Last" in dev.subjects())
    assert dev.subjects().count("Hello Ana") == 2


def test_a_redirected_mail_goes_to_one_address_and_says_whom_it_was_for(dev: Dev) -> None:
    declare(dev, "delivery: {mode: Redirect, to: qa@example.com}")
    probes = iter(range(100))
    assert until(lambda: mail_shows_it(dev, f"p{next(probes)}@example.com", "qa@example.com"))
    dev.post(KIND, {"email": "ana@example.com", "name": "Ana"}, "ana")
    assert until(lambda: "Hello Ana" in dev.subjects())
    found = next(mail for mail in dev.mails() if mail["Subject"] == "Hello Ana")
    assert [(each["Name"], each["Address"]) for each in found["To"]] == [
        ("ana@example.com", "qa@example.com")
    ]
