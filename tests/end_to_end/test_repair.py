"""A store with every kind of damage: `verify --repair` computes exactly the damaged units again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from tests.launching import launch_locally

STUDY = """\
study: repaired
stages:
  base:
    kind: pretrain
    params: {config: CONFIG, format: nursery, options: {num_documents: 100}, steps: 2,
             global_batch: 4, sequence_length: 32}
  other:
    kind: pretrain
    params: {config: CONFIG, format: nursery, options: {num_documents: 100}, steps: 3,
             global_batch: 4, sequence_length: 32}
  prompts: {kind: prompts, params: {format: nursery, options: {num_prompts: 100}}}
  delta:
    kind: extract
    inputs: {base: base, aligned: other, prompts: prompts}
    params: {depths: [1.0], positions: [last], noise_floor_prompts: 4}
""".replace("CONFIG", "{family: gpt2, num_layers: 2, d_model: 16, num_heads: 2, max_positions: 64}")


@pytest.fixture
def store(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Artifact]:
    """A launched study; a function that gives its store as it stands."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    root = Storage(command.root)
    plan = launch_locally(root, tmp_path / "study.yaml", STUDY)
    job = next(job for job in plan.jobs if job.stage == "delta")
    return lambda: Artifact(root, job.kind, job.key)


def units_of(artifact: Artifact) -> Path:
    folder = artifact.attempt_folder(artifact.record.attempt)
    return artifact.storage.path(f"{folder}/units")


def inodes(units: Path) -> dict[str, list[int]]:
    return {
        unit.name: [file.stat().st_ino for file in sorted(unit.iterdir())]
        for unit in sorted(units.iterdir())
    }


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def test_only_damaged_units_are_computed_again_and_the_bytes_are_those_of_before(
    store: Callable[[], Artifact], command: Any
) -> None:
    whole = store()
    units = units_of(whole)
    names = sorted(unit.name for unit in units.iterdir())
    flipped, truncated, missing, unmarked, changed, visited = names[:6]
    before = inodes(units)
    flip(units / flipped / "shard-000.safetensors")
    os.truncate(units / truncated / "shard-000.safetensors", 100)
    (units / missing / "shard-000.safetensors").unlink()
    (units / unmarked / "UNIT.json").unlink()
    flip(units / changed / "UNIT.json")
    (units / visited / "shard-999.safetensors").write_bytes(b"foreign")

    found = command.run("verify", "repaired")
    assert found.returncode == 1
    assert "1 damaged in 6 files" in found.stdout
    assert "shard-999.safetensors: foreign" in found.stdout

    mended = command.run("verify", "repaired", "--repair", "--executor", "local")
    assert mended.returncode == 0, mended.stderr
    assert "1 ran" in mended.stdout
    again = store()
    assert again.record.content_digest == whole.record.content_digest
    assert again.record.attempt != whole.record.attempt
    after = inodes(units_of(again))
    computed = {name for name in names if set(after[name]).isdisjoint(before[name])}
    assert computed == {flipped, truncated, missing, unmarked, changed}
    assert all(after[name] == before[name] for name in set(names) - computed)
    assert command.run("verify", "repaired").returncode == 0


def test_a_damaged_marker_is_not_taken_over_from_an_attempt_that_shares_it(
    store: Callable[[], Artifact], command: Any
) -> None:
    first = store()
    folder = Path(command.root) / first.folder / "attempts"
    twin = folder / "00000000T000000-twin00-000001" / "units"
    for file in [*units_of(first).rglob("*.safetensors"), *units_of(first).rglob("*.json")]:
        target = twin / file.relative_to(units_of(first))
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)
    marker = units_of(first) / "000000" / "UNIT.json"
    text = marker.read_text()
    with open(marker, "r+") as shared:  # in place, so that both names see it
        shared.write(text.replace('"last"', '"lost"', 1))

    assert command.run("verify", "repaired").returncode == 1
    mended = command.run("verify", "repaired", "--repair", "--executor", "local")
    assert mended.returncode == 0, mended.stderr
    assert store().record.content_digest == first.record.content_digest
