"""The rights of an installation, as deploy/install.yaml gives them, in a real API server.

Its Deployments and webhooks are left out: nobody would run them here.
"""

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
HOME = "emailflow"
ACCOUNT = "emailflow-operator"
IMAGE = "emailflow/emailflow:0.1.0"
"""What the policies let runtimes' pods run."""
RIGHTS = {
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def install(kubectl: Any) -> None:
    """Apply them."""
    text = (ROOT / "deploy/install.yaml").read_text()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    objects = [each for each in yaml.load_all(text, Loader=loader) if each and each["kind"] in RIGHTS]
    everything = {"apiVersion": "v1", "kind": "List", "items": objects}
    kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", manifests=json.dumps(everything))


def token(kubectl: Any) -> str:
    """A token of the operator's ServiceAccount."""
    return str(kubectl("create", "token", ACCOUNT, f"--namespace={HOME}", "--duration=1h")).strip()
