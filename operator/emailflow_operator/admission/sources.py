"""Which certificates the installation wants: the operator's own, or files that somebody else writes."""

from collections.abc import Callable
from pathlib import Path

from emailflow_operator.admission.certificate_files import CertificateFiles
from emailflow_operator.admission.certificate_secret import (
    CertificateSecret,
    Kubernetes,
    Place,
    service_names,
)
from emailflow_operator.admission.serving import Certificates

SELF_MADE = "self"


def certificates_from(
    where: str, kubernetes: Kubernetes, *, namespace: str, service: str, leads: Callable[[], bool]
) -> Certificates:
    """`where` is `self` or a folder with tls.crt and tls.key; `service` in `namespace` leads to the webhooks.

    `leads` says whether this replica may write the webhook configurations now.
    """
    if where != SELF_MADE:
        return CertificateFiles(Path(where))
    return CertificateSecret(kubernetes, Place(namespace, service_names(service, namespace)), leads)
