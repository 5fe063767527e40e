"""Whose word in REPORTS counts for what can't be undone."""

import pytest

from emailflow_api.reports import FlowReport, of_owners


def said(epoch, shard=0, **journeys):
    return {shard: FlowReport(plan="p", revision="r", journeys=journeys, epoch=epoch)}


@pytest.mark.parametrize(
    ("reports", "owners", "counted"),
    [
        ({"a": said(7)}, {0: 7}, {"a"}),
        ({"a": said(7)}, {0: 9}, set()),
        ({"a": said(7), "b": said(9)}, {0: 9}, {"b"}),
        ({"a": said(7), "b": said(9)}, {0: 7}, {"b"}),
        ({"a": said(0)}, {0: 9}, set()),
        ({"a": said(0)}, {}, {"a"}),
    ],
    ids=[
        "the owner's",
        "an owner before's, while the owner is silent",
        "an owner before's, beside the owner's",
        "a replica that lags behind knows of the owner before",
        "a runtime's that knows of no epochs",
        "nobody has owned the shard",
    ],
)
def test_only_the_owners_reports_count(reports, owners, counted):
    assert {flow for flow, shards in of_owners(reports, owners).items() if shards} == counted


def test_each_shard_has_an_owner_of_its_own():
    reports = {"a": {**said(7), **said(3, shard=1)}}

    assert of_owners(reports, {0: 7, 1: 4}) == {"a": said(7)}
