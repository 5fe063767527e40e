"""Applying manifests to the real API server."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def apply(apiserver: Any, namespace: str) -> Callable[[str], "subprocess.CompletedProcess[str]"]:
    """Apply manifests on the server's side, in the test's namespace."""
    options = ("apply", "--server-side", f"--namespace={namespace}", "--filename=-")
    return lambda manifests: apiserver.run(*options, manifests=manifests)
