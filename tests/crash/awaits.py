"""Every `await` of a module, by its place; and the same module with a step before and after each.

The product knows nothing of crash points: the runner of these tests loads the product's own source through
`install`, which puts the steps in. So nothing in what is shipped can be armed.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

RUNTIME = Path(__file__).parents[2] / "runtime/emailflow_runtime"
STEP = "__step__"


class Place(NamedTuple):
    """An `await`: the module (`app/writer`), the function, what is awaited (a call without its arguments),
    and which of several like it in the function."""

    module: str
    function: str
    awaited: str
    nth: int = 1


Step = Callable[[Place, bool], None]
"""Called with a place, and whether what is awaited there is over."""


def awaits(module: str) -> list[Place]:
    """All places of a module of the runtime, in the order of its text."""
    tree = ast.parse((RUNTIME / f"{module}.py").read_text())
    return [place for _, place in _placed(module, tree)]


def _placed(module: str, tree: ast.AST) -> Iterator[tuple[ast.Await, Place]]:
    seen: Counter[tuple[str, str]] = Counter()
    for node, function in _within(tree, ()):
        value = node.value
        awaited = ast.unparse(value.func if isinstance(value, ast.Call) else value)
        seen[function, awaited] += 1
        yield node, Place(module, function, awaited, seen[function, awaited])


def _within(tree: ast.AST, names: tuple[str, ...]) -> Iterator[tuple[ast.Await, str]]:
    for node in ast.iter_child_nodes(tree):
        inside = names
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = (*names, node.name)
        if isinstance(node, ast.Await):
            yield node, ".".join(inside)
        yield from _within(node, inside)


class _Stepping(ast.NodeTransformer):
    """`await x` becomes `step(place, await (step(place), x)[-1])`."""

    def __init__(self, places: dict[ast.Await, Place]) -> None:
        self._places = places

    def visit_Await(self, node: ast.Await) -> ast.expr:
        place = ast.Tuple([ast.Constant(each) for each in self._places[node]], ast.Load())
        self.generic_visit(node)
        step = ast.Name(STEP, ast.Load())
        both = ast.Tuple([ast.Call(step, [place], []), node.value], ast.Load())
        inner = ast.Await(ast.Subscript(both, ast.Constant(-1), ast.Load()))
        return ast.copy_location(ast.Call(step, [place, inner], []), node)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, module: str, step: Step) -> None:
        super().__init__(fullname, path)
        self._module = module
        self._step = step

    def get_code(self, fullname: str) -> CodeType:
        # Never the compiled file beside the source: that has no steps.
        tree = ast.parse(self.get_data(self.path))
        places = dict(_placed(self._module, tree))
        stepping = ast.fix_missing_locations(_Stepping(places).visit(tree))
        code: CodeType = compile(stepping, self.path, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        nothing = object()

        def step(place: Sequence[Any], result: object = nothing) -> object:
            self._step(Place(*place), result is not nothing)
            return result

        setattr(module, STEP, step)
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, modules: Sequence[str], step: Step) -> None:
        self._modules = {f"emailflow_runtime.{module.replace('/', '.')}": module for module in modules}
        self._step = step

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._modules:
            return None
        file = str(RUNTIME / f"{self._modules[fullname]}.py")
        loader = _Loader(fullname, file, self._modules[fullname], self._step)
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


def install(modules: Sequence[str], step: Step) -> None:
    """Have these modules of the runtime, none of them imported yet, call `step` around each `await`."""
    sys.meta_path.insert(0, _Finder(modules, step))
