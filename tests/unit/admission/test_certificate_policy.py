"""A rotation step by step, with time as a number: at every moment everybody can verify everybody."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from emailflow_operator.admission.certificate_making import look, make, read_material
from emailflow_operator.admission.certificate_policy import Held, Lifetimes, Step, Validity, next_step

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = frozenset({"emailflow.mail.svc"})
LIVES = Lifetimes(authority=300 * DAY, serving=90 * DAY, settle=timedelta(minutes=5))


def held(*authorities, serving=0, issued_by_last=True, names=NAMES):
    """Authorities and a serving certificate that begin on these days."""
    begins = [Validity(START + day * DAY, START + (day + 300) * DAY) for day in authorities]
    return Held(begins, Validity(START + serving * DAY, START + (serving + 90) * DAY), issued_by_last, names)


CASES = {
    "nothing there": (None, 0, True, Step.BEGIN),
    "young": (held(0), 59, True, Step.KEEP),
    "serving at two thirds": (held(0), 60, True, Step.ISSUE),
    "authority at two thirds": (held(0, serving=180), 200, True, Step.ADD_AUTHORITY),
    "added, but not published": (held(0, 200, serving=180, issued_by_last=False), 230, False, Step.KEEP),
    "added and just published": (held(0, 200, serving=180, issued_by_last=False), 200, True, Step.KEEP),
    "published and settled": (held(0, 200, serving=180, issued_by_last=False), 201, True, Step.ISSUE),
    "issued just now": (held(0, 200, serving=201), 201, True, Step.KEEP),
    "issued and settled": (held(0, 200, serving=201), 202, True, Step.DROP_OLD),
    "serving is over": (held(0), 90, True, Step.BEGIN),
    "another name": (held(0, names=frozenset({"other"})), 1, True, Step.ISSUE),
}


@pytest.mark.parametrize(("state", "day", "published", "step"), CASES.values(), ids=CASES)
def test_each_state_has_its_step(state, day, published, step):
    assert next_step(state, START + day * DAY, NAMES, LIVES.settle, published=published) is step


def test_ten_years_pass_without_a_moment_that_nobody_can_verify():
    """The API server trusts what was published a while ago, a replica serves what it read a while ago."""
    material, now = None, START
    published = served = None
    steps = set()
    while now < START + 3650 * DAY:
        state = look(material) if material else None
        is_published = (
            material is not None and published is not None and material.authorities[-1] in published
        )
        step = next_step(state, now, NAMES, LIVES.settle, published=is_published)
        steps.add(step)
        made = make(step, material, NAMES, now, LIVES)
        if served is not None:
            # Those who lag: the bundle of before against the new certificate, the new bundle against the old.
            assert is_trusted(made, published, now)
            assert is_trusted(served, made.authorities, now)
        published = made.authorities
        material = served = made
        now += DAY
    assert steps == set(Step)


def is_trusted(material, authorities, now):
    """Whether a client with these authorities takes the serving certificate now."""
    serving = x509.load_pem_x509_certificate(material.certificate)
    return serving.not_valid_after_utc > now and any(is_issued_by(serving, each) for each in authorities)


def is_issued_by(serving, authority):
    try:
        serving.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, InvalidSignature):
        return False
    return True


def test_a_secret_that_lacks_a_key_or_holds_another_one_counts_as_none():
    material = make(Step.BEGIN, None, NAMES, START, LIVES)
    other = make(Step.BEGIN, None, NAMES, START, LIVES)
    assert look(material).names == NAMES
    assert look(material._replace(key=other.key)) is None
    assert look(material._replace(authority_key=b"garbage")) is None
    assert look(material._replace(authorities=())) is None
    data = material.as_data()
    assert read_material(data) == material
    del data["ca.key"]
    assert read_material(data) is None
