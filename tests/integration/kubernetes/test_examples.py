"""Every folder of examples/ applies to a real API server as it is, its tests/ left out."""

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
FOLDERS = sorted({path.parent for path in EXAMPLES.rglob("*.yaml") if "tests" not in path.parts[-2:]})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(EXAMPLES).as_posix())
def test_an_example_applies_and_applies_again_unchanged(apiserver, namespace, folder):
    command = ("apply", f"--namespace={namespace}", f"--filename={folder}")
    apiserver(*command)
    for line in apiserver(*command).splitlines():
        assert line.endswith(" unchanged")
