"""nats-server goes away, and the disk fills up: the door says 503, then all goes on; nothing is lost."""

import itertools
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.laptop.conftest import FLOW, Dev, until

KIND = "com.example.signed_up"


def sign_up(dev: Dev, name: str) -> int:
    return dev.post(KIND, {"email": f"{name}@example.com", "name": name}, name)


def test_nats_server_is_killed_and_comes_back(dev: Dev) -> None:
    assert sign_up(dev, "before") == 202
    os.kill(dev.nats_server_pid(), signal.SIGKILL)
    accepted = {"before"}
    numbers = itertools.count()

    def many_accepted() -> bool:
        name = f"u{next(numbers)}"
        if sign_up(dev, name) == 202:
            accepted.add(name)
        return len(accepted) > 20

    assert until(many_accepted, within=60)
    wanted = {f"Hello {name}" for name in accepted}
    assert until(lambda: wanted <= set(dev.subjects()), within=60)
    assert max(Counter(dev.subjects()).values()) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a tmpfs needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs can't be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_503_and_recovers_when_there_is_space(tmp_path: Path, small_disk: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "flow.yaml").write_text(FLOW)
    dev = Dev(folder, small_disk / "state", log=tmp_path / "dev.log")
    dev.start()
    try:
        assert sign_up(dev, "before") == 202
        assert until(dev.subjects) == ["Hello before"]
        ballast = small_disk / "ballast"
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}"], capture_output=True, check=False)
        statuses = (sign_up(dev, f"full{number}") for number in range(2000))
        assert next((status for status in statuses if status != 202), None) == 503
        ballast.unlink()
        assert until(lambda: sign_up(dev, "after") == 202, within=60)
        assert until(lambda: "Hello after" in dev.subjects(), within=60)
        assert max(Counter(dev.subjects()).values()) == 1
    finally:
        dev.close()
