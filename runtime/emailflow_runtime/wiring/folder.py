"""A folder of manifests: what is in it, what it declares, and what is in force by it. Saving a file is
applying it.

Reading only. What a broken file had declared before stays in force until the file is mended or gone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from emailflow_api.compile import Compilation, compile_resources
from emailflow_api.errors import Finding, InvalidYaml, Severity
from emailflow_api.plans import Plans, RuntimePlan
from emailflow_api.plans.carried import carry_over, subjects
from emailflow_api.reading import Document, read_documents

SUFFIXES = {".yaml", ".yml"}
TESTS = "tests"
"""Folders of this name hold FlowTests, which are not applied."""


def manifest_files(path: Path, *, tests: bool = False) -> Iterator[Path]:
    """The manifests at a path, in a stable order, or else those of its `tests`; hidden files and folders are
    passed by."""
    if path.is_file():
        yield path
        return
    for found in sorted(path.rglob("*")):
        parts = found.relative_to(path).parts
        hidden = any(part.startswith(".") for part in parts)
        if found.is_file() and found.suffix in SUFFIXES and not hidden and tests == (TESTS in parts[:-1]):
            yield found


def read_folder(path: Path, *, tests: bool = False) -> tuple[list[Document], list[Finding]]:
    """Every document below the path, or else below its `tests`, and what could not be read."""
    documents: list[Document] = []
    findings: list[Finding] = []
    base = path if path.is_dir() else path.parent
    for file in manifest_files(path, tests=tests):
        name = str(file.relative_to(base))
        try:
            documents += read_documents(file.read_text(encoding="utf-8"), name)
        except (InvalidYaml, UnicodeDecodeError, OSError) as error:
            reason = error.reason if isinstance(error, InvalidYaml) else "UnreadableFile"
            findings.append(Finding(Severity.ERROR, reason, name, "", str(error)))
    return documents, findings


class Folder(NamedTuple):
    """A folder as it was read. `declared`: the objects that its files declare, as `Kind/namespace/name`;
    `whole`: every file could be read."""

    compilation: Compilation
    findings: list[Finding]
    declared: frozenset[str]
    whole: bool

    def in_force(self, before: Plans | None, at: int) -> Plans:
        """The plans to run from now on, where these were in force before; `at` is the store's time
        (nanoseconds since 1970 UTC).

        As long as a file can't be read, nothing counts as gone that is not declared; a runtime that is
        broken, or in that file, leaves everything as it is.
        """
        now = self.compilation.plans
        if before is None:
            return now
        broken = {each.subject for each in self.findings if each.severity is Severity.ERROR}
        runtime = f"EmailRuntime/{before.runtime.namespace}/{before.runtime.name}"
        if runtime in broken:
            return before
        if not self.whole:
            if runtime not in self.declared and _settings(now) != _settings(before):
                return before
            broken |= {subject for subject in subjects(before) if subject not in self.declared}
            if before.providers:
                # One that is implied, since none could be read, is none.
                there = {
                    f"EmailProvider/{each.namespace}/{name}": name for name, each in now.providers.items()
                }
                declared = {there[subject] for subject in self.declared if subject in there}
                now = replace(now, providers={name: now.providers[name] for name in declared})
        return carry_over(before, now, broken, at=at, suspended=self.compilation.suspended)


def _settings(plans: Plans) -> RuntimePlan:
    """What a runtime says, but for the URL that is filled in where it names none."""
    return replace(plans.runtime, public_url="")


def folder_at(path: Path, *, for_cluster: bool = False) -> Folder:
    """The folder as `emailflow dev` takes it; `for_cluster`: as a cluster would."""
    documents, unread = read_folder(path)
    compilation = compile_resources(documents, laptop=True, for_cluster=for_cluster)
    positions = {document.subject: document.position for document in documents}
    placed = [each._replace(position=positions.get(each.subject, "")) for each in compilation.findings]
    return Folder(compilation, [*unread, *placed], frozenset(positions), not unread)


def compile_folder(path: Path, *, for_cluster: bool = False) -> tuple[Compilation, list[Finding]]:
    """What the folder declares, and all findings; `for_cluster`: those that a cluster would have."""
    folder = folder_at(path, for_cluster=for_cluster)
    return folder.compilation, folder.findings
