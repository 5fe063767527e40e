"""Secrets where the kubelet mounts them, replaced as it replaces them: by a symbolic link."""

import pytest

from emailflow_api.plans import SecretKey
from emailflow_runtime.adapters.secrets_folder import InvalidKeyring, KeyringFile, SecretsFolder
from emailflow_runtime.core.links import Link
from emailflow_runtime.errors import SecretNotFound

KEY = SecretKey("mail", "smtp", "password")
LINK = Link("unsubscribe", "c1", "offers", "m1")


def mount(folder, version, **values):
    """What the kubelet does: a folder of the version, `..data` leading to it, each key leading there."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    for name, value in values.items():
        (data / name).write_text(value)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    aside = folder / "..data_tmp"
    aside.symlink_to(data.name)
    aside.replace(folder / "..data")


@pytest.fixture
def held(tmp_path):
    mount(tmp_path / "smtp", 1, password="first")
    return SecretsFolder(tmp_path, "mail")


def test_a_rotated_value_counts_at_once(held, tmp_path):
    assert held.secret(KEY) == b"first"

    mount(tmp_path / "smtp", 2, password="second")

    assert held.secret(KEY) == b"second"


@pytest.mark.parametrize(
    "key",
    [
        SecretKey("mail", "smtp", "user"),
        SecretKey("mail", "other", "password"),
        SecretKey("shop", "smtp", "password"),
        SecretKey("mail", "smtp", "../smtp/password"),
        SecretKey("mail", "..", "password"),
    ],
)
def test_what_is_not_there_is_named_not_shown(held, key):
    with pytest.raises(SecretNotFound, match=f"{key.namespace}/"):
        held.secret(key)


def test_a_secret_that_comes_later_is_found(held, tmp_path):
    late = SecretKey("mail", "late", "token")
    with pytest.raises(SecretNotFound):
        held.secret(late)

    mount(tmp_path / "late", 1, token="t")

    assert held.secret(late) == b"t"


def test_a_new_key_signs_and_the_old_one_is_still_read(tmp_path):
    mount(tmp_path, 1, ring=f"k1: {'a' * 32}\n")
    ring = KeyringFile(tmp_path / "ring")
    old = ring.sign(LINK)

    mount(tmp_path, 2, ring=f"k2: {'b' * 32}\nk1: {'a' * 32}\n")

    assert ring.sign(LINK) != old
    assert ring.read(old) == LINK
    mount(tmp_path, 3, ring=f"k2: {'b' * 32}\n")
    assert ring.read(old) is None


def test_a_broken_rotation_leaves_the_good_keys(tmp_path):
    mount(tmp_path, 1, ring=f"k1: {'a' * 32}\n")
    ring = KeyringFile(tmp_path / "ring")
    signed = ring.sign(LINK)

    mount(tmp_path, 2, ring="nothing\n")

    assert ring.read(signed) == LINK


@pytest.mark.parametrize("text", [None, "", "k1: short\n"])
def test_no_keyring_is_said_so(tmp_path, text):
    if text is not None:
        (tmp_path / "ring").write_text(text)
    with pytest.raises(InvalidKeyring, match="ring"):
        KeyringFile(tmp_path / "ring")
