"""Crash tests run the same processes as the laptop's integration tests."""

from tests.integration.laptop.conftest import dev

__all__ = ["dev"]
