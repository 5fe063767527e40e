"""Kopf, without the `kubernetes` package that it would import for the types of its users' models.

Nobody uses those here, and inside a cluster nothing else needs the package. Import `kopf` from here only.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["kopf"]


@contextmanager
def _as_if_not_installed(package: str) -> Iterator[None]:
    """Let imports of a package fail, unless somebody has imported it already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # what the import system takes for: not there
    try:
        yield
    finally:
        del sys.modules[package]


with _as_if_not_installed("kubernetes"):
    import kopf
