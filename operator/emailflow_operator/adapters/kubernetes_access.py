"""Where the API server is and how to get in: a Pod's ServiceAccount, else a kubeconfig.

Tokens are read again whenever they are asked for, since the kubelet replaces them. Exec plugins of
kubeconfigs are not supported: a cluster gives its operator a ServiceAccount.
"""

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from emailflow_operator.errors import InvalidAccess

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Access(NamedTuple):
    """One API server, and who we are to it. PEM texts are empty where there are none."""

    server: str
    authority: str = ""
    certificate: str = ""
    key: str = ""
    fixed_token: str = ""
    token_file: Path | None = None
    insecure: bool = False

    @property
    def token(self) -> str:
        """The bearer token as it is now, empty where certificates speak. Raises InvalidAccess."""
        if self.token_file is None:
            return self.fixed_token
        try:
            return self.token_file.read_text().strip()
        except OSError as error:
            raise InvalidAccess(f"the token file can't be read: {error.strerror}") from None

    def tls(self) -> ssl.SSLContext:
        """What the server has to prove, and how we do."""
        context = ssl.create_default_context(cadata=self.authority or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate and self.key:
            # OpenSSL reads a chain from files only.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
                pair.write(f"{self.certificate}\n{self.key}\n")
                pair.flush()
                context.load_cert_chain(pair.name)
        return context


def find_access(environment: Mapping[str, str] | None = None) -> Access:
    """KUBECONFIG if it is set, else the Pod's ServiceAccount, else ~/.kube/config. Raises InvalidAccess."""
    env = os.environ if environment is None else environment
    if named := env.get("KUBECONFIG"):
        return read_kubeconfig(Path(named.split(os.pathsep)[0]))
    if (ACCOUNT / "token").exists() and env.get("KUBERNETES_SERVICE_HOST"):
        host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
        host = f"[{host}]" if ":" in host else host
        authority = (ACCOUNT / "ca.crt").read_text()
        return Access(f"https://{host}:{port}", authority, token_file=ACCOUNT / "token")
    return read_kubeconfig(Path.home() / ".kube" / "config")


def read_kubeconfig(path: Path) -> Access:
    """The current context of a kubeconfig. Raises InvalidAccess."""
    try:
        config: Any = yaml.safe_load(path.read_text())
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        if "exec" in user or "auth-provider" in user:
            raise InvalidAccess(f"{path}: exec plugins are not supported; expected a token or a certificate")
        token_file = user.get("tokenFile")
        return Access(
            server=cluster["server"].rstrip("/"),
            authority=_text(cluster, "certificate-authority", path),
            certificate=_text(user, "client-certificate", path),
            key=_text(user, "client-key", path),
            fixed_token=user.get("token", ""),
            token_file=path.parent / token_file if token_file else None,
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InvalidAccess(f"{path} gives no access: {type(error).__name__}: {error}") from None


def _named(config: Any, member: str, name: str) -> Any:
    found = next((each for each in config.get(member) or () if each["name"] == name), None)
    if found is None:
        raise KeyError(f"{member} has no {name}")
    return found


def _text(entry: Mapping[str, str], member: str, path: Path) -> str:
    if data := entry.get(f"{member}-data"):
        return base64.b64decode(data).decode()
    if file := entry.get(member):
        return (path.parent / file).read_text()
    return ""
