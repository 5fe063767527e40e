"""Ways into a cluster: kubeconfigs as kubectl takes them, and what is wrong with others."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from emailflow_operator.adapters.kubernetes_access import Access, find_access
from emailflow_operator.errors import InvalidAccess

PLUGIN = "client.authentication.k8s.io/v1"


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


def access_by(*files: Path) -> Access:
    return find_access(
        {"KUBECONFIG": os.pathsep.join(map(str, files)), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    )


def plugin(folder: Path, **status: str) -> dict[str, Any]:
    """A user whose plug-in answers with this, a script in the kubeconfig's folder."""
    script = folder / "plugin"
    answer = {"apiVersion": PLUGIN, "kind": "ExecCredential", "status": status}
    script.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    script.chmod(0o700)
    return {"exec": {"apiVersion": PLUGIN, "command": str(script), "interactiveMode": "Never"}}


def test_a_token_file_is_read_again_once_its_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    access = access_by(kubeconfig(tmp_path, {"tokenFile": "token"}))
    assert (access.server, access.credentials()) == ("https://k:6443", "Bearer one")
    (tmp_path / "token").write_text("two")
    access.renew()
    assert access.credentials() == "Bearer two"


def test_certificates_may_stand_in_the_file(tmp_path: Path) -> None:
    user = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    access = access_by(kubeconfig(tmp_path, user, **{"certificate-authority-data": "Y2E="}))
    files = (access.certificate, access.key, access.authority)
    assert [file and file.read_text() for file in files] == ["cert", "key", "ca"]


def test_a_plugin_is_asked_and_asked_again_once_its_token_is_refused(tmp_path: Path) -> None:
    access = access_by(kubeconfig(tmp_path, plugin(tmp_path, token="one")))
    assert access.credentials() == "Bearer one"
    plugin(tmp_path, token="two")
    access.renew()
    assert access.credentials() == "Bearer two"


def test_a_plugins_token_that_has_expired_is_replaced(tmp_path: Path) -> None:
    user = plugin(tmp_path, token="one", expirationTimestamp="2020-01-01T00:00:00Z")
    access = access_by(kubeconfig(tmp_path, user))
    plugin(tmp_path, token="two")
    assert access.credentials() == "Bearer two"


def test_a_plugin_that_fails_gives_no_access(tmp_path: Path) -> None:
    with pytest.raises(InvalidAccess, match="plug-in"):
        access_by(kubeconfig(tmp_path, {"exec": {"apiVersion": PLUGIN, "command": "/bin/false"}}))


def test_a_name_and_a_password_are_credentials_too(tmp_path: Path) -> None:
    access = access_by(kubeconfig(tmp_path, {"username": "ana", "password": "secret"}))
    assert access.credentials() == "Basic YW5hOnNlY3JldA=="


def test_several_kubeconfigs_are_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    config = yaml.safe_load(kubeconfig(second, {"token": "t"}).read_text())
    (first / "config").write_text(
        yaml.safe_dump({"current-context": "c", "contexts": config.pop("contexts")})
    )
    (second / "config").write_text(yaml.safe_dump(config))
    assert access_by(first / "config", second / "config").credentials() == "Bearer t"


@pytest.mark.parametrize("text", ["", "[]", "{", "current-context: x", "clusters: 5"])
def test_what_gives_no_access_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(InvalidAccess, match="gives no access"):
        access_by(tmp_path / "config")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidAccess):
        access_by(tmp_path / "none")


def test_an_operator_in_a_cluster_does_without_the_package_for_kubeconfigs() -> None:
    """It would be 10 MB of memory for nothing."""
    script = (
        "import sys; import emailflow_operator.wiring.process; "
        "sys.exit([name for name in sys.modules if name.partition('.')[0] == 'kubernetes'] != [])"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
