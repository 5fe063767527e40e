"""What the image is built from is fetched by hash, in the versions that the rest of the house has."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_every_package_of_the_image_is_fetched_by_hash() -> None:
    installs = re.findall(r"pip install[^\n]*", DOCKERFILE)
    assert installs
    assert all("--require-hashes" in each and "--only-binary=:all:" in each for each in installs)
    assert all("--frozen" in each for each in re.findall(r"uv sync[^\n]*", DOCKERFILE))
    locked = (ROOT / "uv.lock").read_text()
    assert all(
        "hash = " in each for each in re.findall(r"^\s*\{ url = .*$|^sdist = .*$", locked, re.MULTILINE)
    )


def test_the_image_is_built_with_the_uv_of_every_other_build() -> None:
    [version] = re.findall(
        r'^UV_VERSION = "(.*)"$', (ROOT / "build/environment.py").read_text(), re.MULTILINE
    )
    pinned = (ROOT / "build/uv.txt").read_text()
    assert re.findall(r"^uv==(\S+)", pinned, re.MULTILINE) == [version]
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", pinned)) == 3


def test_nothing_is_copied_into_the_image_that_the_context_leaves_out() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    }
    assert copied <= kept
