"""Ways into a cluster: kubeconfigs as kubectl writes them, and what is wrong with others."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from emailflow_operator.adapters.kubernetes_access import find_access, read_kubeconfig
from emailflow_operator.errors import InvalidAccess


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> Path:
    file = folder / "config"
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://k:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    access = read_kubeconfig(kubeconfig(tmp_path, {"tokenFile": "token"}))
    assert (access.server, access.token) == ("https://k:6443", "one")
    (tmp_path / "token").write_text("two\n")
    assert access.token == "two"


def test_certificates_may_stand_in_the_file(tmp_path: Path) -> None:
    user = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    access = read_kubeconfig(kubeconfig(tmp_path, user, **{"certificate-authority-data": "Y2E="}))
    assert (access.certificate, access.key, access.authority) == ("cert", "key", "ca")


def test_kubeconfig_is_asked_first(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, {"token": "t"})
    assert find_access({"KUBECONFIG": str(file), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}).token == "t"


@pytest.mark.parametrize("text", ["", "[]", "{", "current-context: x", "clusters: 5"])
def test_what_gives_no_access_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(InvalidAccess, match="gives no access"):
        read_kubeconfig(tmp_path / "config")


def test_exec_plugins_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidAccess, match="exec plugins"):
        read_kubeconfig(kubeconfig(tmp_path, {"exec": {"command": "aws"}}))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidAccess):
        find_access({"KUBECONFIG": str(tmp_path / "none")})
