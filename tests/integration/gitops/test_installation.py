"""An installation that Argo CD applies stays in sync, also when the operator has written what is its own."""

from typing import Any

import pytest
import yaml

from .conftest import MANAGER, ROOT, Object, tracked

CERTIFICATES = "emailflow-certificates"
"""The field manager under which the operator writes caBundle."""
APPLIES = {
    "Client": ("apply",),
    "Server": ("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}"),
}


def installation() -> list[Object]:
    text = (ROOT / "deploy/install.yaml").read_text()
    return [tracked(value, "emailflow") for value in yaml.safe_load_all(text) if value]


def with_authority(configuration: Object) -> Object:
    """What the operator writes into a webhook configuration."""
    hooks = [
        {"name": each["name"], "clientConfig": {"caBundle": "LS0t"}} for each in configuration["webhooks"]
    ]
    metadata = {"name": configuration["metadata"]["name"]}
    kind = {"apiVersion": configuration["apiVersion"], "kind": configuration["kind"]}
    return {**kind, "metadata": metadata, "webhooks": hooks}


def the_webhooks(values: list[Object]) -> list[Object]:
    return [each for each in values if each["kind"].endswith("WebhookConfiguration")]


@pytest.mark.parametrize("way", APPLIES)
def test_the_installation_is_in_sync_and_keeps_what_the_operator_wrote(
    way: str, apiserver: Any, argo_cd: Any
) -> None:
    wanted = installation()
    webhooks = the_webhooks(wanted)
    assert len(webhooks) == 2
    apiserver(*APPLIES[way], "--filename=-", manifests=yaml.safe_dump_all(wanted))
    operator = ("apply", "--server-side", f"--field-manager={CERTIFICATES}", "--filename=-")
    apiserver(*operator, manifests=yaml.safe_dump_all([with_authority(each) for each in webhooks]))

    assert [each for each in argo_cd.differences(wanted) if each.way == way] == []
    apiserver(*APPLIES[way], "--filename=-", manifests=yaml.safe_dump_all(webhooks))
    for each in webhooks:
        bundle = "-o=jsonpath={.webhooks[*].clientConfig.caBundle}"
        assert apiserver("get", each["kind"], each["metadata"]["name"], bundle) == "LS0t"
