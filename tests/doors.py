"""Finds every door of the product, and has mypy check each entry against its contract.

`python -m tests.doors` is part of `make check`. For every entry it writes one line that assigns the
entry to its contract (`entry: Metric = analysis.metrics.cka`), so that mypy compares signatures.
"""

import ast
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from analysis.door import Door

ROOT = Path(__file__).parent.parent
FOLDERS = ("orchestrator", "jobs", "cluster", "analysis")


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A door as a module declares it."""

    module: str
    """Module with the declaration: that of the contract."""
    name: str
    """Name of the constant."""
    contract: str
    """What its entries fulfil, as written between the brackets of `Door[…]`."""

    @property
    def door(self) -> Door[object]:
        """The door itself."""
        found = getattr(importlib.import_module(self.module), self.name)
        assert isinstance(found, Door)
        return found

    @property
    def stems(self) -> list[str]:
        """Module names of its entries."""
        return [name.replace("-", "_") for name in self.door.names()]


def declared_doors() -> list[Declared]:
    """List every statement `NAME: Door[Contract] = Door(…)` at the top of a module."""
    return [door for folder in FOLDERS for door in _doors_in(ROOT / folder)]


def _doors_in(folder: Path) -> Iterator[Declared]:
    for file in sorted(folder.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            annotation = node.annotation if isinstance(node, ast.AnnAssign) else None
            if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Door":
                yield Declared(
                    module=".".join(file.relative_to(ROOT).with_suffix("").parts),
                    name=ast.unparse(node.target),
                    contract=ast.unparse(annotation.slice),
                )


def assignments(doors: list[Declared]) -> str:
    """Write a module that assigns every entry to its contract."""
    lines = ["from typing import Any"]
    for door in doors:
        lines.append(f"import {door.module}")
        contract = ast.unparse(_Qualify(door.module).visit(ast.parse(door.contract, mode="eval")))
        for stem in door.stems:
            entry = f"{door.door.package}.{stem}"
            made = Protocol not in door.door.contract.__bases__
            value = f"{entry}.{door.door.find(stem).__class__.__name__}()" if made else entry
            lines.append(f"import {entry}")
            lines.append(f"{door.name.lower()}_{stem}: {contract} = {value}")
    return "\n".join(lines) + "\n"


class _Qualify(ast.NodeTransformer):
    """Writes the module before every name but `Any`."""

    def __init__(self, module: str) -> None:
        self._module = module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return node if node.id == "Any" else ast.Name(f"{self._module}.{node.id}")


def check(text: str) -> subprocess.CompletedProcess[str]:
    """Run mypy on a module with this text, by the rules and the cache of the repository."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "entries_fulfil_contracts.py"
        file.write_text(text, encoding="utf-8")
        words = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(file)]
        return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


def main() -> int:
    """Check every entry; return the exit code."""
    doors = declared_doors()
    checked = check(assignments(doors))
    number = sum(len(door.stems) for door in doors)
    success = f"{number} entries fulfil their contracts\n"
    sys.stdout.write(checked.stdout if checked.returncode else success)
    return checked.returncode


if __name__ == "__main__":
    sys.exit(main())
