"""Pods as apps write them, and an injector as an installation has it."""

import copy

import pytest

from emailflow_operator.injection import Injector, SidecarSettings

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "shop", "labels": {"emailflow.dev/inject": "true"}},
    "spec": {
        "initContainers": [{"name": "migrate", "image": "shop:1"}],
        "containers": [{"name": "shop", "image": "shop:1", "env": [{"name": "A", "value": "1"}]}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}


@pytest.fixture
def pod():
    """`pod(spec={…}, annotations={…}, labels={…})`: a pod that asks for a sidecar, with these instead."""

    def make(spec=None, annotations=None, labels=None):
        made = copy.deepcopy(POD)
        made["spec"] |= spec or {}
        if annotations is not None:
            made["metadata"]["annotations"] = annotations
        if labels is not None:
            made["metadata"]["labels"] = labels
        return made

    return make


@pytest.fixture
def injector():
    return Injector(SidecarSettings(image="emailflow:1"))


@pytest.fixture
def injected(pod, injector):
    """The pod of these wishes with its sidecar."""
    return lambda **wishes: injector.inject(pod(**wishes), "shop").pod
