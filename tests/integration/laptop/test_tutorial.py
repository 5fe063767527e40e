"""The tutorial, done as it says: its files, its commands, its event."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from .conftest import Dev, until

TUTORIAL = Path(__file__).parents[3] / "docs" / "tutorial" / "first-flow.md"
BLOCK = re.compile(r"```(\w+) ?([^\n]*)\n(.*?)```", re.DOTALL)


def test_the_tutorial_leads_to_a_mail(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    blocks = BLOCK.findall(TUTORIAL.read_text())
    for _, info, text in blocks:
        if info.startswith("file="):
            (shop / info.removeprefix("file=")).write_text(text)
    commands = [text for _, info, text in blocks if info == "run"]
    for line in commands[0].splitlines():
        command = [sys.executable, "-m", "emailflow_cli", *shlex.split(line)[1:]]
        answer = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "Welcome, Ana!\n"

    dev = Dev(shop, tmp_path / "state")
    dev.start()
    try:
        (event,) = [text for _, info, text in blocks if info == "event"]
        curl = shlex.split(event.replace("8080", str(dev.ports["http"])))
        sent = subprocess.run(curl, capture_output=True, text=True, check=False, timeout=30)
        assert "202 Accepted" in sent.stdout
        assert until(dev.subjects) == ["Welcome, Ana!"]
    finally:
        dev.close()
