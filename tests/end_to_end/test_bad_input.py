"""Every mistake of a user: one clear message, exit code 2, nothing written."""

from pathlib import Path
from typing import Any

import pytest

# ruff: noqa: E501  (lines of a study file, as they stand there)
MISTAKES = {
    "unknown-kind": ("kind: behave", "kind: behavee", "behave"),
    "unknown-stage": ("inputs: {model: base, pairs: pairs}}", "inputs: {model: bas, pairs: pairs}}", "base"),
    "unknown-axis": ("over: [condition]", "over: [conditions]", "condition"),
    "unknown-param": ("checkpoint_every: 5", "checkpoint_evry: 5", "checkpoint_every"),
    "unknown-metric": ("[relative_norm, consistency", "[relative_nrm, consistency", "relative_norm"),
    "unknown-family": ("family: llama", "family: lama", "llama"),
    "unknown-objective": ("[dpo, sft]", "[dpo, stf]", "sft"),
    "unknown-transform": ("[plain, rot13]", "[plain, rot31]", "rot13"),
    "unknown-expression": ('"${objective}"', '"${objectve}"', "objective"),
    "where-selects-nothing": ("where: {condition: plain}", "where: {condition: plan}", "plain"),
    "escaping-name": ("study: miniature", "study: ../escape", "escape"),
    "does-not-parse": ("stages:", "stages: [", ""),
    "duplicate-name": ("  pairs: {kind: pairs, params: {format: nursery, options: {num_pairs: 120}}}", "  base: {kind: pairs, params: {format: nursery}}", "base"),
    "cycle": ("reference: {kind: reference, inputs: {model: base", "reference: {kind: reference, inputs: {model: aligned", "cycle"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_study_file_is_told_with_its_place(
    command: Any, edited: Any, mistake: str
) -> None:
    old, new, near = MISTAKES[mistake]
    told = command.run("launch", edited((old, new)), "--executor", "local")
    assert told.returncode == 2, told.stderr
    assert "Traceback" not in told.stderr
    assert "edited.yaml:" in told.stderr
    assert near in told.stderr
    assert not command.root.exists()


def _with_pairs(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "pairs.jsonl").write_bytes(data)
    study = tmp_path / "study.yaml"
    study.write_text(
        "study: mine\nstages:\n  pairs: {kind: pairs, params: {format: prompt-chosen-rejected, "
        "source: pairs.jsonl}}\n"
    )
    return str(study)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"prompt": "a", "chosen": " b"}\n', "rejected"),
        (b'{"prompt": "a", "chosen": " b", "rejected": " c"}\nnot json\n', "2"),
        (b'{"prompt": "\xff\xfe", "chosen": " b", "rejected": " c"}\n', "UTF-8"),
        (b"", "no rows"),
    ],
    ids=["missing-column", "not-json", "not-utf-8", "empty"],
)
def test_a_mistake_in_a_preference_file_is_told_with_its_row(
    command: Any, tmp_path: Path, data: bytes, said: str
) -> None:
    told = command.run("launch", _with_pairs(tmp_path, data), "--executor", "local")
    assert told.returncode == 2, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    assert "pairs.jsonl" in told.stderr
    assert said in told.stderr
    assert not command.root.exists()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "mine"),
        ({"config.json": '{"model_type": "gpt2"}', "pytorch_model.bin": "x"}, "safetensors"),
        ({"config.json": '{"model_type": "bert"}', "model.safetensors": "x"}, "gpt2"),
    ],
    ids=["missing", "only-pickle", "unsupported"],
)
def test_a_model_folder_that_cannot_be_used_is_told_before_anything_runs(
    command: Any, tmp_path: Path, files: dict[str, str], said: str
) -> None:
    folder = tmp_path / "mine"
    if files:
        folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    study = tmp_path / "study.yaml"
    study.write_text("study: mine\nstages: {base: {kind: pretrained, params: {source: ./mine}}}\n")
    told = command.run("launch", str(study), "--executor", "local")
    assert told.returncode == 2, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    assert said in told.stderr


def test_a_root_that_cannot_be_written_is_told_at_once(tmp_path: Path, command: Any) -> None:
    (tmp_path / "file").write_text("in the way")
    inside = type(command)(root=tmp_path / "file" / "results")
    told = inside.run("launch", str(Path(__file__).parent / "miniature.yaml"))
    assert told.returncode == 2
    assert "cannot be written" in told.stderr
    assert "Traceback" not in told.stderr
