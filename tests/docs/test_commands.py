"""Every `deltascale …` command of the pages, and of hints in the code, is one that is taken."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import UserError
from orchestrator.cli import main, read_options, verb_names
from orchestrator.verb import VERBS

_TOP = Path(__file__).parents[2]
_PAGES = [_TOP / "README.md", *sorted((_TOP / "docs").rglob("*.md"))]
_CODE = [
    path for folder in ("orchestrator", "cluster", "jobs") for path in (_TOP / folder).rglob("*.py")
]
_COMMAND = re.compile(r"(?<![\w.@-])deltascale +([a-z].*)")
_PLACEHOLDERS = {"KIND": "slurm", "DOOR": "metric"}
"""Words that stand for one of a few names; every other placeholder may be anything."""


def _code_of(page: str) -> Iterator[tuple[str, bool]]:
    """Yield each line of code of a page, and whether it stands in a block; else in a sentence."""
    for number, part in enumerate(re.split(r"^ *```.*$", page, flags=re.M)):
        if number % 2:
            lines = part.replace("\\\n", " ").splitlines()
            yield from ((line, True) for line in lines if not line.startswith("{"))  # JSON
        else:
            yield from ((span, False) for span in re.findall(r"`([^`\n]+)`", part))


def _hints_of(code: str) -> Iterator[tuple[str, bool]]:
    """Yield what stands in backticks in the texts of a module, its docstrings too."""
    for node in ast.walk(ast.parse(code)):
        parts = [node] if isinstance(node, ast.Constant) else getattr(node, "values", [])
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            text = ""
            for value in (getattr(part, "value", "") for part in parts):
                # What is put in right behind a word begins with a space, or ends the command.
                is_word = text[-1:] in (" ", "'", "")
                text += value if isinstance(value, str) else "X" * is_word
            yield from ((span, False) for span in re.findall(r"`(deltascale [^`\n]+)`", text))


def _words(command: str) -> list[str]:
    """Return the words of a command as a shell would, without what stands for more words."""
    command = command.replace(" …", " X").translate(dict.fromkeys(map(ord, "[]…")))
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        is_kind = word == "X" and words[-1:] == ["--kind"]
        words.append(_PLACEHOLDERS.get("KIND" if is_kind else word, word))
    return words


def _commands(lines: Iterator[tuple[str, bool]]) -> Iterator[list[str]]:
    for line, is_whole in lines:
        for command in _COMMAND.finditer(line):
            words = _words(command[1])
            if line[: command.start()].strip() and words[0] not in verb_names():
                continue  # a sentence in a block
            if is_whole or len(words) > 1:  # in a sentence, a verb alone names the verb
                yield words


def _fault_of(words: list[str]) -> str | None:
    """Return why a command is not taken; None where it is."""
    if words[0] not in verb_names():
        return f"there is no verb {words[0]!r}"
    try:
        read_options(words[0], VERBS.find(words[0]), words[1:], argparse.Namespace())
    except UserError as fault:
        return fault.error
    if words[:2] == ["profile", "new"] and words[2:] and main(words) != 0:
        return "it is refused"
    return None


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch) -> None:
    """Let `profile new` write into a folder of the test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_TOP)))
def test_commands_of_a_page_are_taken(page: Path, tmp_path: Path) -> None:
    faults = {}
    for words in _commands(_code_of(page.read_text("utf-8"))):
        for written in tmp_path.rglob("*.yaml"):
            written.unlink()
        faults[" ".join(words)] = _fault_of(words)
    assert {command: fault for command, fault in faults.items() if fault} == {}


def test_commands_that_the_code_names_are_taken(tmp_path: Path) -> None:
    faults = {}
    for path in _CODE:
        text = path.read_text("utf-8")
        for words in _commands(_hints_of(text)) if "`deltascale " in text else ():
            for written in tmp_path.rglob("*.yaml"):
                written.unlink()
            faults[f"{path.relative_to(_TOP)}: {' '.join(words)}"] = _fault_of(words)
    assert len(faults) > 20
    assert {command: fault for command, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("plan s.yaml --on hpc   # free", ["plan", "s.yaml", "--on", "hpc"]),
        ("launch 'my study.yaml' --on hpc; sudo halt", ["launch", "my study.yaml", "--on", "hpc"]),
        ("compare STUDY… [--metric NAMES] > t.csv", ["compare", "STUDY", "--metric", "NAMES"]),
        ("fetch …", ["fetch", "X"]),
    ],
)
def test_words_are_those_of_the_shell(command: str, words: list[str]) -> None:
    assert _words(command) == words


@pytest.mark.parametrize("words", [["plot", "STUDY"], ["plan"], ["plan", "STUDY", "--where", "x"]])
def test_a_command_that_is_not_taken_is_found(words: list[str]) -> None:
    assert _fault_of(words)
