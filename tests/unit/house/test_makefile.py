"""The front door keeps its promises: the targets are there, and they say what they do."""

import re

TARGETS = {"demo", "test", "check", "e2e", "bench", "generate", "help"}


def test_every_target_is_listed_by_help(root):
    described = set(re.findall(r"^([a-z0-9-]+):.*## \S", (root / "Makefile").read_text(), re.MULTILINE))
    assert described >= TARGETS


def test_contributing_names_every_target(root):
    text = (root / "CONTRIBUTING.md").read_text()
    assert [target for target in sorted(TARGETS - {"help"}) if f"make {target}" not in text] == []
