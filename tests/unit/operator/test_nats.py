"""Streams and consumers that are changed only when they have to be; claims, keys and credentials."""

import base64
import json

import pytest

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.jetstream.permissions import permissions
from emailflow_operator.adapters.nats_keys import (
    ACCOUNT,
    OPERATOR,
    USER,
    KeyPair,
    claims_in,
    credentials_file,
    new_key,
)
from emailflow_operator.control.installation_keys import InstallationKeys
from emailflow_operator.errors import InvalidCredentials
from emailflow_operator.reconcile.differences import consumer_changes, stream_changes
from emailflow_operator.reconcile.nats_claims import (
    accounts_conf,
    former_account,
    outside_account,
    owner_in,
    runtime_account,
    same_rights,
    user_claims,
)


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
    operator, account = new_key(ACCOUNT), new_key(ACCOUNT)
    token = operator.sign(former_account(operator.public, account.public))
    text = accounts_conf("operator-token", "ASYSTEM", {account.public: token})
    assert account.public in text
    assert not any(key.seed in text for key in (operator, account))


def seeds() -> dict[str, str]:
    return {
        name: new_key(kind).seed
        for name, kind in (("operator.nk", OPERATOR), ("system.nk", ACCOUNT), ("accounts.nk", ACCOUNT))
    }


def test_each_account_has_a_key_of_its_own_that_follows_from_its_name() -> None:
    held = seeds()
    keys, again, elsewhere = InstallationKeys(held), InstallationKeys(held), InstallationKeys(seeds())
    names = [Names("mail", "default"), Names("mail", "other"), Names("mai", "ldefault")]
    made = [each for name in names for each in (*keys.runtime(name), *keys.outside(name))]
    assert len({each.public for each in made}) == len(made) == 12
    assert all(each.public.startswith("A") for each in made)
    assert keys.runtime(names[0])[0].public == again.runtime(names[0])[0].public
    assert keys.runtime(names[0])[0].public != elsewhere.runtime(names[0])[0].public


@pytest.mark.parametrize("missing", ["operator.nk", "system.nk", "accounts.nk"])
def test_a_secret_that_lacks_a_key_is_refused_by_its_name(missing: str) -> None:
    with pytest.raises(InvalidCredentials, match=missing):
        InstallationKeys({**seeds(), missing: ""})


OWNER = StreamOwner("mail", "default", "Delete")


def test_a_closed_account_lets_in_who_its_own_key_signs_for_and_exports_nothing() -> None:
    closed = runtime_account("O", "A", "S", OWNER, disk=1 << 30, is_open=False)["nats"]
    opened = runtime_account("O", "A", "S", OWNER, disk=1 << 30)["nats"]
    assert not closed.keys() & {"signing_keys", "exports"}
    assert opened["signing_keys"] == ["S"]
    assert "signing_keys" not in former_account("O", "A")["nats"]


def test_producers_are_given_what_their_runtime_exports_and_nothing_of_another_s() -> None:
    exports = runtime_account("O", "A", "S", OWNER, disk=1)["nats"]["exports"]
    imports = outside_account("O", "P", "Q", OWNER, "A")["nats"]["imports"]
    assert [(each["subject"], each["type"]) for each in exports] == [
        (each["subject"], each["type"]) for each in imports
    ]
    assert {each["account"] for each in imports} == {"A"}
    assert all("mail.default." in each["subject"] or "mail_default_" in each["subject"] for each in exports)


def test_an_account_says_whose_it_is_and_what_it_may_store() -> None:
    claims = runtime_account("O", "A", "S", OWNER, disk=1 << 30)
    assert owner_in(claims) == OWNER
    assert owner_in(former_account("O", "A")) is None
    limits = claims["nats"]["limits"]
    assert (limits["disk_storage"], limits["mem_storage"]) == (1 << 30, 0)


def test_rights_take_no_more_room_for_many_shards() -> None:
    """A user's rights are in its token, which the server reads before it knows who that is."""
    longest = Names("n" * 63, "r" * 63)
    for role in Role:
        rights = permissions(longest, role)
        claims = user_claims("A" * 56, "S" * 56, "U" * 56, f"{longest.prefix}_{role}", rights)
        token = new_key(ACCOUNT).sign(claims)
        assert len(token) < 7_500, (role, len(token))


@pytest.mark.parametrize("seed", ["", "SUA", "not a seed", "SUAM2VKFTWYBA7S62LRIQ43AB"])
def test_what_is_no_seed_is_refused_without_being_quoted(seed: str) -> None:
    with pytest.raises(InvalidCredentials) as caught:
        KeyPair(seed)
    assert not seed or seed not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a.b.c", "eyJhIjoxfQ.bm90IGpzb24.x", "x" * 1000])
def test_what_is_no_credentials_file_has_no_claims(text: str) -> None:
    assert claims_in(text) == {}
