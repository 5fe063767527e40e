"""Templates that broke a limit: apart at once, refused after three times, forgiven by a success."""

from emailflow_runtime.adapters.render_worker.quarantine import Quarantine


def convicted(times, *, now=0.0):
    quarantine = Quarantine()
    for _ in range(times):
        quarantine.convict("t", now=now)
    return quarantine


def test_one_breach_sets_apart_and_refuses_nothing():
    quarantine = convicted(1)
    assert "t" in quarantine
    assert "other" not in quarantine
    assert not quarantine.refuses("t", now=0.0)


def test_three_breaches_refuse_for_a_minute():
    quarantine = convicted(3, now=100.0)
    assert quarantine.refuses("t", now=159.9)
    assert not quarantine.refuses("t", now=160.0)
    assert not quarantine.refuses("other", now=100.0)


def test_after_its_rest_one_more_breach_refuses_again():
    quarantine = convicted(3, now=100.0)
    quarantine.convict("t", now=170.0)
    assert quarantine.refuses("t", now=171.0)


def test_a_success_clears_the_count_but_not_the_place_apart():
    quarantine = convicted(2)
    quarantine.acquit("t")
    quarantine.convict("t", now=1.0)
    assert "t" in quarantine
    assert not quarantine.refuses("t", now=1.0)


def test_only_so_many_are_remembered():
    quarantine = convicted(3)
    for n in range(2000):
        quarantine.convict(str(n), now=0.0)
    assert "t" not in quarantine
    assert not quarantine.refuses("t", now=0.0)
    assert "1999" in quarantine
