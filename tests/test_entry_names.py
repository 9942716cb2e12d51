"""No room knows a kind or format by name: what it must know of one is declared by the entry."""

import ast
from collections.abc import Iterator
from pathlib import Path

from jobs.kind import KINDS
from jobs.text.format import FORMATS

ROOT = Path(__file__).parent.parent
FOLDERS = ("orchestrator", "jobs", "cluster", "analysis")

ORDINARY_WORDS = {
    "adapter", "ask", "messages", "pairs", "probe", "prompts", "reference", "text", "weights",
}  # fmt: skip
"""Names of kinds and formats that inputs, roles and fields have, too."""

ALLOWED_LITERALS = {
    ("analysis/dose/trajectories.py", "snapshot"): "a column of tables at equal dose",
    ("jobs/comparing/answers.py", "compare"): "where an error is: the verb",
    ("jobs/comparing/comparison.py", "compare"): "where an error is: the verb",
    ("jobs/training/alignment.py", "align"): "a tag of model cards",
    ("jobs/training/pretraining.py", "pretrain"): "a tag of model cards",
    ("jobs/training/model_card.py", "export"): "a tag of model cards",
}
"""(file, name of a kind or format) -> why it may be written there."""


def test_no_kind_or_format_is_known_by_name_outside_its_own_folder() -> None:
    names = {*KINDS.names(), *FORMATS.names()}
    written = {
        (file.relative_to(ROOT).as_posix(), name)
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        if file.parent.name not in ("kinds", "formats")
        for name in _names_written(ast.parse(file.read_text()), names)
    }
    assert written - set(ALLOWED_LITERALS) == set(), "declare a property of the entry instead"
    assert set(ALLOWED_LITERALS) - written == set(), "no longer needed"


def test_the_check_for_names_sees_comparisons_of_ordinary_words_and_constants() -> None:
    names = {*KINDS.names(), *FORMATS.names()}
    for code in ("x = job.kind == 'pairs'", "x = form in ('text', 'a')", "SYNTHETIC = ['pplm']"):
        assert list(_names_written(ast.parse(code), names)), code
    for code in ("x = work.input('pairs')", "x = {'text': 1}", "def f(): 'pplm'"):
        assert not list(_names_written(ast.parse(code), names)), code


def _names_written(tree: ast.Module, names: set[str]) -> Iterator[str]:
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            name = str(node.value).replace("_", "-")
            if name in names - ORDINARY_WORDS:
                yield name
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            asked = [getattr(side, "attr", getattr(side, "id", None)) for side in sides]
            if {"kind", "format", "form"} & set(asked):
                constants = [item for side in sides for item in ast.walk(side)]
                yield from (
                    item.value
                    for item in constants
                    if isinstance(item, ast.Constant) and item.value in ORDINARY_WORDS
                )
