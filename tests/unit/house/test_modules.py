"""What every module keeps to: its size, its name, its docstring, the words for its errors."""

import ast
import re

MAX_FILE_LINES, MAX_FUNCTION_LINES, MEDIAN_FILE_LINES, P90_FUNCTION_LINES = 400, 60, 150, 30
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
CAMEL_CASE = re.compile(r"([A-Z][a-z0-9]*)+")


def trees(modules):
    return {path: ast.parse(path.read_text()) for path in modules}


def functions(modules):
    """Path, name and number of lines of each function."""
    for path, tree in trees(modules).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def share(values, fraction):
    """The value that this fraction of the values does not exceed."""
    return sorted(values)[int(fraction * (len(values) - 1))]


def reasons(tree):
    """Every text that is assigned, declared or passed as `reason`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            named = [target.id for target in node.targets if isinstance(target, ast.Name)]
            value = node.value if "reason" in named else None
        elif isinstance(node, ast.keyword):
            value = node.value if node.arg == "reason" else None
        else:
            continue
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            yield value.value


def test_the_operator_folder_does_not_shadow_the_standard_library(root):
    assert not (root / "operator/__init__.py").exists()


def test_no_module_is_too_long(modules):
    lengths = {path.name: path.read_text().count("\n") for path in modules}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_half_of_the_modules_are_short(modules):
    assert share([path.read_text().count("\n") for path in modules], 0.5) <= MEDIAN_FILE_LINES


def test_no_function_is_too_long(modules):
    found = {f"{path.name}:{name}": lines for path, name, lines in functions(modules)}
    assert {name: lines for name, lines in found.items() if lines > MAX_FUNCTION_LINES} == {}


def test_nine_of_ten_functions_are_short(modules):
    assert share([lines for _, _, lines in functions(modules)], 0.9) <= P90_FUNCTION_LINES


def test_every_module_says_why_it_exists(modules):
    silent = [
        path for path, tree in trees(modules).items() if path.stat().st_size and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_no_module_has_a_name_that_says_nothing(modules, root):
    parts = {path: {*path.relative_to(root).parent.parts, path.stem} for path in modules}
    assert [path for path, names in parts.items() if names & FORBIDDEN_NAMES] == []


def test_every_reason_is_one_camel_case_word(modules):
    found = [reason for tree in trees(modules).values() for reason in reasons(tree)]
    assert found
    assert [reason for reason in found if not CAMEL_CASE.fullmatch(reason)] == []
