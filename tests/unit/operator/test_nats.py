"""Streams and consumers that are changed only when they have to be; claims, keys and credentials."""

import base64
import json

import pytest

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.permissions import permissions
from emailflow_operator.adapters.nats_keys import ACCOUNT, USER, KeyPair, claims_in, credentials_file, new_key
from emailflow_operator.errors import InvalidCredentials
from emailflow_operator.reconcile.differences import consumer_changes, stream_changes
from emailflow_operator.reconcile.nats_claims import account_claims, auth_conf, same_rights, user_claims


def test_what_the_server_filled_in_is_no_difference() -> None:
    assert (
        stream_changes({"name": "A", "storage": "file", "max_age": 0}, {"name": "A", "storage": "file"})
        is None
    )
    assert stream_changes({"name": "A"}, {"name": "A", "allow_atomic": False}) is None


def test_a_setting_that_differs_is_sent_with_all_the_others() -> None:
    change = stream_changes({"name": "A", "discard": "old", "max_age": 1}, {"name": "A", "discard": "new"})
    assert change == {"name": "A", "discard": "new", "max_age": 1}


def test_what_the_server_notes_of_a_stream_is_kept() -> None:
    there = {"name": "A", "metadata": {"_nats.ver": "2.15.1", "emailflow.dev/deletion-policy": "Retain"}}
    assert stream_changes(there, {"name": "A", "metadata": dict(list(there["metadata"].items())[1:])}) is None
    change = stream_changes(there, {"name": "A", "metadata": {"emailflow.dev/deletion-policy": "Delete"}})
    assert change is not None
    assert change["metadata"] == {"_nats.ver": "2.15.1", "emailflow.dev/deletion-policy": "Delete"}


def test_a_bound_that_fitted_the_disk_stays() -> None:
    assert stream_changes({"name": "A", "max_bytes": 1}, {"name": "A", "max_bytes": 8}) is None


def test_a_consumer_keeps_where_it_started() -> None:
    there = {"name": "f", "deliver_policy": "new", "filter_subjects": ["a"]}
    wanted = {"name": "f", "deliver_policy": "all", "filter_subjects": ["a", "b"]}
    change = consumer_changes(there, wanted)
    assert change == {"name": "f", "deliver_policy": "new", "filter_subjects": ["a", "b"]}
    assert consumer_changes(there, {**wanted, "filter_subjects": ["a"]}) is None


def test_a_token_says_who_signed_it_for_whom() -> None:
    signing, user = new_key(ACCOUNT), new_key(USER)
    rights = permissions(Names("mail", "default"), Role.PRODUCER)
    claims = user_claims("AACCOUNT", signing.public, user.public, "p", rights)
    token = signing.sign(claims)
    head, _, signature = token.split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] == "ed25519-nkey"
    assert signature
    found = claims_in(credentials_file(token, user.seed))
    assert (found["iss"], found["sub"]) == (signing.public, user.public)
    assert same_rights(found, user_claims("AACCOUNT", signing.public, "someone", "else", rights))
    assert not same_rights(
        found,
        user_claims("AACCOUNT", signing.public, "", "", permissions(Names("mail", "other"), Role.PRODUCER)),
    )
    assert not same_rights(claims_in(""), claims)


def test_what_nats_includes_holds_no_seed() -> None:
    operator, account, signing = new_key(ACCOUNT), new_key(ACCOUNT), new_key(ACCOUNT)
    token = operator.sign(account_claims(operator.public, account.public, signing.public))
    text = auth_conf("operator-token", "ASYSTEM", {account.public: token})
    assert account.public in text
    assert not any(key.seed in text for key in (operator, account, signing))


@pytest.mark.parametrize("seed", ["", "SUA", "not a seed", "SUAM2VKFTWYBA7S62LRIQ43AB"])
def test_what_is_no_seed_is_refused_without_being_quoted(seed: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        KeyPair(seed)
    assert not seed or seed not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a.b.c", "eyJhIjoxfQ.bm90IGpzb24.x", "x" * 1000])
def test_what_is_no_credentials_file_has_no_claims(text: str) -> None:
    assert claims_in(text) == {}
