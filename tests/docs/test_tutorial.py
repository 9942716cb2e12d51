"""The commands of docs/tutorial.md run as they are written; the study in README can be planned.

`make test` runs them on the tutorial's own study made small: two models, few steps, without Ray, in
processes that are forked with what they import. `make test-slow` runs them as they stand and
compares what they print with the page: numbers may differ, words may not, and a line `…` on the
page stands for any lines.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.forked import ForkedCommand

ROOT = Path(__file__).parents[2]
_TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SMALLER = (
    ("    - name: gpt2-0.26m\n.*?\n(?=  objective)", ""),
    (r"seed: \[0, 1\]", "seed: [0]"),
    ("steps: 180", "steps: 30\n      options: {num_documents: 400}"),
    ("steps: 100", "steps: 20"),
    (r"learning_rate: 2\.0e-5", "learning_rate: 1.0e-3"),
    (r"params: \{format: nursery\}", "params: {format: nursery, options: {num_pairs: 120}}"),
    (r"\{format: nursery, transform", "{format: nursery, options: {num_prompts: 60}, transform"),
    (r"(kind: extract, .*)\}\n", r"\1, params: {noise_floor_prompts: 8, depths: [1.0]}}\n"),
    (r"(kind: measure\n.*)\n", r"\1\n    params: {metrics: [mean_cosine, relative_norm]}\n"),
    ("new_tokens: 4", "new_tokens: 1, metrics: [toxic_mass]"),
    ("num_layers: 3, d_model: 48", "num_layers: 2, d_model: 40"),
)
_LONGEST_S = 1800


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the tutorial."""

    command: str
    """What the reader types, without the prompt."""
    expected: list[str]
    """Lines of its output that the page shows; `…` stands for any lines."""


def _steps() -> Iterator[Step]:
    for block in _BLOCK.findall(_TUTORIAL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *expected = part.rstrip("\n").split("\n")
            yield Step(command=command, expected=expected)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which `deltascale` is this checkout."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "deltascale"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator.cli "$@"\n')
    program.chmod(0o755)
    return {
        **{name: text for name, text in os.environ.items() if name != "DELTASCALE_ROOT"},
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "WANDB_MODE": "disabled",
        "COLUMNS": "250",
    }


def _run(command: str, folder: Path, environment: dict[str, str]) -> str:
    where = {"cwd": folder, "env": environment, "timeout": _LONGEST_S}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, **where)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _run_warm(command: str, folder: Path, environment: dict[str, str]) -> None:
    """Run a command of ours in a process that has imported what it needs, any other as it is."""
    program, *words = shlex.split(command)
    if program != "deltascale":
        _run(command, folder, environment)
        return
    process = ForkedCommand(words, environment, folder)
    out, errors = process.communicate(timeout=_LONGEST_S)
    assert process.returncode == 0, f"{command}\n{out}\n{errors}"


def _shape(line: str) -> str:
    """Return a line without its numbers, intervals, keys and spaces."""
    words = re.sub(r"\b[0-9a-f]{12,64}\b|[-\d.,\[\]±()]+|─+", " ", line)
    return re.sub(r"\s+|e(?=\s)", " ", words).strip()


def _assert_shown(step: Step, output: str) -> None:
    lines = iter(output.splitlines())
    for expected in filter(lambda line: _shape(line.partition("…")[0]), step.expected):
        wanted = _shape(expected.partition("…")[0])
        is_begun = "…" in expected
        assert any(
            _shape(line).startswith(wanted) if is_begun else _shape(line) == wanted
            for line in lines
        ), f"{step.command} does not print, or not in this place:\n{expected}\n\n{output}"


def test_the_tutorials_commands_run_on_a_small_study(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    for step in _steps():
        command = re.sub(r"(deltascale launch)", r"\1 --executor local", step.command)
        _run_warm(command, tmp_path, environment)
        if command.startswith("deltascale new"):
            study = tmp_path / "my-study.yaml"
            text = study.read_text()
            for old, new in _SMALLER:
                text, count = re.subn(old, new, text, flags=re.DOTALL if ".*?" in old else 0)
                assert count, old
            study.write_text(text)
    assert (tmp_path / "results/studies/my-study/report.html").exists()


@pytest.mark.slow
def test_the_tutorials_commands_print_what_the_page_shows(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    for step in _steps():
        _assert_shown(step, _run(step.command, tmp_path, environment))


def test_the_study_in_the_readme_can_be_planned(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (study,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert study.count("\n") <= 12
    (tmp_path / "small.yaml").write_text(study)
    assert "28 jobs: 0 reused, 28 to run" in _run(
        "deltascale plan small.yaml", tmp_path, environment
    )
