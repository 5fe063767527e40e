"""Injection: a pod that asks for it gets the sidecar `emailflow sidecar` as a native sidecar container.

Pure: a pod goes in, a pod and a JSON Patch come out. The webhook and `emailflow inject` call the same code,
so that what is checked into git and what a cluster does are equal. It never changes what an app declared
itself.
"""

from emailflow_operator.injection.injector import Injection, Injector
from emailflow_operator.injection.wishes import LABEL, InjectionRefused, SidecarSettings

__all__ = ["LABEL", "Injection", "InjectionRefused", "Injector", "SidecarSettings"]
