"""Where the API server is and how to get in: a Pod's ServiceAccount, else a kubeconfig.

Kubeconfigs are read by the `kubernetes` package, with everything that kubectl takes: several files, plug-ins,
certificates. It is imported for that only, since inside a cluster it would be memory for nothing.
"""

import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from emailflow_operator.errors import InvalidAccess

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Access(NamedTuple):
    """One API server, and who we are to it."""

    server: str
    authority: Path | None = None
    """CA certificates (PEM) to trust instead of the system's."""
    certificate: Path | None = None
    key: Path | None = None
    credentials: Callable[[], str] = str
    """Asked each time for the header `Authorization` (`Bearer …`), since tokens are replaced; empty where
    certificates speak. Raises InvalidAccess."""
    renew: Callable[[], None] = lambda: None
    """Called when the server has refused them. Raises InvalidAccess."""
    insecure: bool = False

    def tls(self) -> ssl.SSLContext:
        """What the server has to prove, and how we do. Raises InvalidAccess."""
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise InvalidAccess(f"a certificate for {self.server} can't be used: {error}") from None
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def find_access(environment: Mapping[str, str] | None = None) -> Access:
    """KUBECONFIG if it is set, else the Pod's ServiceAccount, else ~/.kube/config. Raises InvalidAccess."""
    env = os.environ if environment is None else environment
    if named := env.get("KUBECONFIG"):
        return _from_kubeconfig(named)
    if (ACCOUNT / "token").exists() and env.get("KUBERNETES_SERVICE_HOST"):
        host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
        host = f"[{host}]" if ":" in host else host
        return Access(f"https://{host}:{port}", ACCOUNT / "ca.crt", credentials=token_in(ACCOUNT / "token"))
    return _from_kubeconfig(str(Path.home() / ".kube" / "config"))


def token_in(file: Path) -> Callable[[], str]:
    """Credentials from a file that somebody keeps current."""

    def read() -> str:
        try:
            return f"Bearer {file.read_text().strip()}"
        except OSError as error:
            raise InvalidAccess(f"the token {file} can't be read: {error.strerror}") from None

    return read


class _Kubeconfig:
    """What kubeconfigs (paths as in KUBECONFIG) say now; `load` asks files and plug-ins again."""

    def __init__(self, paths: str) -> None:
        self._paths = paths
        self.says: Any = None
        self.load()

    def load(self) -> None:
        """Raises InvalidAccess."""
        from kubernetes.client import Configuration
        from kubernetes.config import load_kube_config

        says = Configuration()
        try:
            load: Any = load_kube_config  # untyped
            load(self._paths, client_configuration=says, persist_config=False)
        except Exception as error:  # noqa: BLE001 - whatever a broken file or a plug-in leads to
            raise InvalidAccess(f"{self._paths} gives no access: {type(error).__name__}: {error}") from None
        self.says = says
        if says.host.startswith("https:") and not (says.cert_file or self.credentials()):
            # A plug-in that fails is no error to the package, and we would be nobody.
            raise InvalidAccess(
                f"{self._paths} gives no access: expected a token, a certificate or a plug-in"
            )

    def credentials(self) -> str:
        """The header; a plug-in whose token has expired is asked for a new one."""
        return self.says.get_api_key_with_prefix("BearerToken") or ""


def _from_kubeconfig(paths: str) -> Access:
    config = _Kubeconfig(paths)
    says = config.says
    return Access(
        says.host,
        authority=_path(says.ssl_ca_cert),
        certificate=_path(says.cert_file),
        key=_path(says.key_file),
        credentials=config.credentials,
        renew=config.load,
        insecure=not says.verify_ssl,
    )


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None
