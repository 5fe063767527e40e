"""What an EventType calls sensitive is not shown, wherever it stands."""

import json

from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.core.masking import HIDDEN, masked

KIND = "com.example.joined"
SECRET = "ana@example.com"
SENSITIVE = {KIND: ["data.customer.email", "data.tags"]}


def event(data, kind=KIND, **more):
    return {"specversion": "1.0", "id": "1", "source": "/s", "type": kind, "data": data, **more}


def test_a_sensitive_path_is_hidden_and_the_rest_is_shown():
    found = masked(event({"customer": {"email": SECRET, "plan": "pro"}, "tags": [SECRET]}), SENSITIVE)
    assert found["data"] == {"customer": {"email": HIDDEN, "plan": "pro"}, "tags": HIDDEN}


def test_a_type_without_sensitive_paths_is_shown_whole():
    whole = event({"customer": {"email": SECRET}}, kind="com.example.other")
    assert masked(whole, SENSITIVE) == whole


def test_every_item_of_a_list_is_hidden():
    found = masked(event({"customer": [{"email": SECRET}, {"email": SECRET}]}), SENSITIVE)
    assert SECRET not in json.dumps(found)


def test_data_that_is_no_json_is_hidden():
    found = masked({**event(None), "data_base64": "YW5hQGV4YW1wbGUuY29t"}, SENSITIVE)
    assert found["data_base64"] == HIDDEN


def test_the_event_inside_a_fact_is_masked_like_any_other():
    inner = event({"customer": {"email": SECRET}})
    found = masked(event({"event": inner}, kind="dev.emailflow.journey.entered"), SENSITIVE)
    assert SECRET not in json.dumps(found)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.just(SECRET)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["email", "x"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_nothing_at_or_below_a_sensitive_path_is_ever_shown(value):
    found = masked(event({"customer": {"email": value}}), SENSITIVE)
    assert SECRET not in json.dumps(found)
