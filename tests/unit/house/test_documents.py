"""What every tracked file keeps to: links that lead somewhere, and nothing of any one machine."""

import re

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = ("http://", "https://", "mailto:", "#")
# Written in pieces, so that this file does not find itself.
PRIVATE = re.compile(
    "|".join(
        [
            r"(?<![\w.-])/(?:" + "root|home/[a-z]+|Users/[A-Za-z]+|work" + r")/",
            "proxy" + r"\.golang\.org",
            "pypi" + r"\.org/simple",
            "files" + r"\.pythonhosted\.org",
            "registry" + r"\.npmjs\.org",
        ]
    )
)
LOCKED = {"uv.lock"}
"""A lock file says where each package comes from."""
NUMBERED = re.compile(r"(\d{4})-[a-z0-9-]+\.md")


def text_of(path):
    """The text of a file, empty for what is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_every_relative_link_leads_to_a_file(files, root):
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in files
        if path.suffix == ".md"
        for target in LINK.findall(FENCED.sub("", text_of(path)))
        if not target.startswith(ELSEWHERE) and not (path.parent / target.partition("#")[0]).exists()
    ]
    assert broken == []


def test_no_file_names_a_machine_or_a_package_registry(files, root):
    found = {
        str(path.relative_to(root)): match[0]
        for path in files
        if path.name not in LOCKED and (match := PRIVATE.search(text_of(path)))
    }
    assert found == {}


def decisions(names):
    """The names among these that are decision records; the template is none."""
    return {name for name in names if NUMBERED.fullmatch(name)} - {"0000-template.md"}


def test_the_index_lists_every_decision(root):
    folder = root / "docs/adr"
    records = decisions(path.name for path in folder.iterdir())
    assert records
    assert decisions(LINK.findall((folder / "README.md").read_text())) == records


def test_decisions_have_numbers_of_their_own(root):
    numbers = [found[1] for path in (root / "docs/adr").iterdir() if (found := NUMBERED.fullmatch(path.name))]
    assert len(numbers) == len(set(numbers))


def test_a_decision_gives_context_decision_and_consequences(root):
    for path in (root / "docs/adr").iterdir():
        if NUMBERED.fullmatch(path.name):
            headings = re.findall(r"^## (.*)$", path.read_text(), re.MULTILINE)
            assert {"Context", "Decision", "Consequences"} <= set(headings), path.name


NAMED_TEST = re.compile(r"`(tests/[^`\s]+\.py)::(\w+)`")


def test_every_test_that_security_names_is_there(root):
    named = NAMED_TEST.findall((root / "SECURITY.md").read_text())
    assert named
    assert [(file, name) for file, name in named if f"def {name}(" not in text_of(root / file)] == []
