"""Writes the tree in README.md from the docstrings of the files; `--check` only compares.

Run from the repository's root: `python docs/refresh_readme.py`.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- tree -->\n", "<!-- end of tree -->\n"
FOLDERS = ("orchestrator", "jobs", "cluster", "analysis", "benchmarks")


def first_line(file: Path) -> str:
    """The first line of a file's docstring."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.splitlines()[0] if docstring else ""


def lines(folder: Path, depth: int = 0) -> list[str]:
    """A folder, its files, then its folders; two spaces a level."""
    margin = "  " * depth
    package = folder / "__init__.py"
    said = first_line(package) if package.exists() else ""
    found = [f"{margin}{folder.name + '/':<{36 - 2 * depth}}{said}".rstrip()]
    inside = sorted(folder.glob("*.py"))
    for file in inside:
        if file.name != "__init__.py":
            found.append(f"{margin}  {file.name:<{34 - 2 * depth}}{first_line(file)}")
    for child in sorted(folder.iterdir()):
        if child.is_dir() and any(child.glob("*.py")):
            found += lines(child, depth + 1)
    return found


def main() -> int:
    """Write or compare; 1 when they differ and nothing may be written."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    tree = "\n".join(line for folder in FOLDERS for line in lines(ROOT / folder))
    wanted = f"{before}{BEGIN}```\n{tree}\n```\n{END}{after}"
    if "--check" in sys.argv:
        return 0 if wanted == text else 1
    readme.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
