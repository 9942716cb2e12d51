"""Checks shapes while tests run: jaxtyping's import hook with beartype, where functions name some.

Functions whose annotations name an array type of jaxtyping (`Float64[np.ndarray, "rows d"]`) are
checked at every call, arguments and results, unless they have passed with the same shapes before.
Their modules' `if TYPE_CHECKING:` imports are really made, so that a name which only the type
checker knows is known to the checker too; no folder imports in a circle, and heavy libraries stay
lazy in processes that tests start.

Not checked: classes' fields, processes that tests start (workers of Ray, the command line), and
`UNCHECKED`.
"""

import ast
import gc
import os
import random
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder, SourceFileLoader

import jaxtyping
import pytest
from beartype._check.code import codemain
from jaxtyping import _import_hook as hook

from tests.passed_shapes import checked_once

# beartype draws the item of a list that it looks at from the generator of this process, whose state
# is a part of training checkpoints: runs with and without checks would leave other bytes.
assert codemain.getrandbits is random.getrandbits
codemain.getrandbits = random.Random(0).getrandbits

# Images of containers set it. This process would then compile 600 files of tests anew every time,
# and each of the hundreds that tests start what it imports of ours.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

UNCHECKED: frozenset[str] = frozenset()
"""Modules that are left out, each with its reason beside it."""

PACKAGES = ("analysis", "jobs")
ARRAYS = frozenset(name for name in dir(jaxtyping) if isinstance(getattr(jaxtyping, name), type))


def aliases(tree: ast.Module) -> frozenset[str]:
    """List the names that a module gives to array types, such as `Vector = Float64[…]`."""
    return frozenset(
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)
        for target in node.targets
        if isinstance(target, ast.Name)
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id in ARRAYS
    )


def names_arrays(function: ast.FunctionDef, arrays: frozenset[str]) -> bool:
    """Tell whether an annotation of the function's signature names one of the array types."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    annotations = [argument.annotation for argument in every] + [function.returns]
    nodes = [node for noted in annotations if noted for node in ast.walk(noted)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return any(isinstance(node, ast.Name) and node.id in arrays for node in nodes) or any(
        isinstance(text, str) and name in text for text in texts for name in arrays
    )


class CheckedOnce(hook.Typechecker):
    """Beartype, which is asked once about each combination of shapes that a function is given."""

    def __init__(self) -> None:
        """Make it known to the modules that are decorated."""
        super().__init__("beartype.beartype")
        self.lookup["checked once"] = checked_once(self.lookup[self.hash])

    def get_ast(self) -> ast.expr:
        """Return what a function is decorated with."""
        name = "jaxtyping._import_hook.Typechecker.lookup['checked once']"
        return ast.parse(name, mode="eval").body


class ShapeChecks(hook.JaxtypingTransformer):
    """Decorates what names array types, and makes the imports of `if TYPE_CHECKING:` real."""

    def __init__(self, arrays: frozenset[str], typechecker: hook.Typechecker) -> None:
        """Decorate functions that name one of `arrays`."""
        super().__init__(typechecker=typechecker)
        self._arrays = arrays

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:  # noqa: N802
        """Look inside a class without decorating it."""
        self._parents.append(node)
        self.generic_visit(node)
        self._parents.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802
        """Decorate a function that names array types."""
        if names_arrays(node, self._arrays):
            return super().visit_FunctionDef(node)
        self._parents.append(node)
        self.generic_visit(node)
        self._parents.pop()
        return node

    def visit_If(self, node: ast.If) -> ast.AST:  # noqa: N802
        """Make the imports of `if TYPE_CHECKING:` real."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.test = ast.copy_location(ast.Constant(True), node.test)
        self.generic_visit(node)
        return node


class Loader(hook._JaxtypingLoader):
    """Loads a module with its shapes checked, where it names any; that is not cached on disk."""

    exec_module = SourceFileLoader.exec_module

    def get_code(self, fullname):  # type: ignore[no-untyped-def]
        """Compile the module from its source; one that names no shapes is loaded as ever."""
        data = self.get_data(self.path)
        if b"jaxtyping" not in data:
            return SourceFileLoader.get_code(self, fullname)
        return self.source_to_code(data, self.path)

    def source_to_code(self, data, path, *, _optimize=-1):  # type: ignore[no-untyped-def]
        """Compile the module, decorated where it names shapes: all else is cached for anybody."""
        if b"jaxtyping" not in data:
            return SourceFileLoader.source_to_code(self, data, path, _optimize=_optimize)
        tree = ast.parse(data)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        arrays = ARRAYS | aliases(tree)
        if any(names_arrays(function, arrays) for function in functions):
            tree = ShapeChecks(arrays, self._typechecker).visit(tree)
            ast.fix_missing_locations(tree)
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)


class Finder(hook._JaxtypingFinder):
    """Finds the modules whose shapes are checked."""

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]
        """Find a module and have it loaded by `Loader`."""
        spec = super().find_spec(fullname, path, target)
        if spec is not None:
            loader = spec.loader
            spec.loader = Loader(loader.name, loader.path, typechecker=self._typechecker)
        return spec

    def should_instrument(self, module_name: str) -> bool:
        """Tell whether a module is one of ours and not left out."""
        return super().should_instrument(module_name) and module_name not in UNCHECKED


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Look for no garbage while tests are collected: two million objects, which stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


pytest_plugins = ["tests.not_tested"]

sys.meta_path.insert(0, Finder(PACKAGES, PathFinder, CheckedOnce()))
