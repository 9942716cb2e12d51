"""Verb `compare` on a finished study: several roots, and the way from a cell to files."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs.artifacts.artifact import digest_file
from orchestrator.cli import main

CELL = "relative_norm,model=gpt2-tiny,objective=dpo,condition=rot13"


@pytest.fixture
def printed(undisturbed: Any, capsysbinary: Any) -> Any:
    def compare(*words: str) -> tuple[int, bytes]:
        code = main(["compare", "miniature", *words, "--root", str(undisturbed.root)])
        return code, capsysbinary.readouterr().out

    return compare


def test_a_cell_is_traced_to_files_that_open(printed: Any) -> None:
    code, out = printed("--trace", CELL, "--json")
    told = json.loads(out)
    assert code == 0
    assert {row["seed"] for row in told["measurements"]} == {0, 1}
    assert {row["key"] for row in told["measurements"]} == set(told["traces"])
    kinds, waiting = set(), [(chain["root"], chain) for chain in told["traces"].values()]
    while waiting:
        root, chain = waiting.pop()
        kinds.add(chain["kind"])
        waiting += [(root, found) for found in chain["inputs"]]
        for file in chain["files"]:
            path = Path(root) / chain["folder"] / file["name"]
            assert (path.stat().st_size, digest_file(path)) == (file["bytes"], file["xxh3"])
    assert kinds == {"measure", "extract", "align", "pretrain", "pairs", "reference", "prompts"}


def test_a_trace_for_people_shows_whole_paths_and_labels(printed: Any, undisturbed: Any) -> None:
    _, out = printed("--trace", f"{CELL},seed=1")
    text = out.decode()
    assert "geometry[condition=rot13,model=gpt2-tiny,objective=dpo,seed=1]" in text
    folders = [line.split("─ ")[-1] for line in text.splitlines() if line.endswith("/")]
    assert len(folders) > 5
    assert all(Path(folder).is_dir() for folder in folders)
    assert folders[0].startswith(str(undisturbed.root))


def test_a_study_of_another_root_stands_beside_under_the_axis_study(
    printed: Any, undisturbed: Any, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(undisturbed.root, other)
    lost = next(other.glob("artifacts/behave/*/record.json"))
    lost.unlink()
    code, out = printed(f"{other}::miniature", "--json", "--long")
    rows = json.loads(out)
    assert code == 0
    by_study = {
        name: [row for row in rows if row["study"] == name]
        for name in ("miniature", f"{other}::miniature")
    }
    assert len(by_study["miniature"]) == len(by_study[f"{other}::miniature"]) == len(rows) // 2
    assert all(row["status"] != "not_run" for row in by_study["miniature"])
    assert any(row["status"] == "not_run" for row in by_study[f"{other}::miniature"])
