"""A folder of manifests: what is in it, and what it declares. Saving a file is applying it.

Reading only. What a broken file had declared before stays in force until the file is mended or gone.
"""

from collections.abc import Iterator
from pathlib import Path

from emailflow_api.compile import Compilation, compile_resources
from emailflow_api.errors import Finding, InvalidYaml, Severity
from emailflow_api.reading import Document, read_documents

SUFFIXES = {".yaml", ".yml"}
TESTS = "tests"
"""Folders of this name hold FlowTests, which are not applied."""


def manifest_files(path: Path) -> Iterator[Path]:
    """The manifests at a path, in a stable order; hidden files and folders are passed by."""
    if path.is_file():
        yield path
        return
    for found in sorted(path.rglob("*")):
        parts = found.relative_to(path).parts
        hidden = any(part.startswith(".") for part in parts)
        if found.is_file() and found.suffix in SUFFIXES and not hidden and TESTS not in parts[:-1]:
            yield found


def read_folder(path: Path) -> tuple[list[Document], list[Finding]]:
    """Every document below the path, and what could not be read."""
    documents: list[Document] = []
    findings: list[Finding] = []
    base = path if path.is_dir() else path.parent
    for file in manifest_files(path):
        name = str(file.relative_to(base))
        try:
            documents += read_documents(file.read_text(encoding="utf-8"), name)
        except (InvalidYaml, UnicodeDecodeError, OSError) as error:
            reason = error.reason if isinstance(error, InvalidYaml) else "UnreadableFile"
            findings.append(Finding(Severity.ERROR, reason, name, "", str(error)))
    return documents, findings


def compile_folder(path: Path) -> tuple[Compilation, list[Finding]]:
    """What the folder declares, as `emailflow dev` and `emailflow lint` take it, and all findings."""
    documents, findings = read_folder(path)
    compilation = compile_resources(documents, laptop=True)
    positions = {document.subject: document.position for document in documents}
    placed = [each._replace(position=positions.get(each.subject, "")) for each in compilation.findings]
    return compilation, [*findings, *placed]
