"""Every part of the GPU check runs on a processor, one of them with what a bare machine has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.machine import look
from benchmarks.gpu.part import PARTS, in_order

ROOT = Path(__file__).parents[3]
ABSENT = (
    "ray", "wandb", "s3fs", "pymare", "sklearn", "matplotlib", "tenacity", "rich",
    "jinja2", "gguf", "beartype", "moto", "scipy",
)  # fmt: skip
"""What a GPU machine without a network may lack."""
REHEARSE = """
import sys
from importlib.machinery import PathFinder
absent = set(sys.argv[1].split(","))
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else super().find_spec(name, path, target)
sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
from benchmarks.gpu.machine import look
from benchmarks.gpu.machine import look
from benchmarks.gpu.part import PARTS, in_order
machine = look(rehearses=True)
for name in in_order():
    if PARTS.find(name).why_not(machine) is None:
        assert list(PARTS.find(name).rows(machine)), name
assert not absent & {name.partition(".")[0] for name in sys.modules}
"""
MEANINGLESS = {"training", "large-step", "memory", "extraction"}
"""Parts whose aims are of speed and size, which a rehearsal cannot hold."""


SLOW = {"ranks", "resume", "determinism", "large-step", "engines", "memory", "out-of-memory"}
"""Parts that start processes, run what the others run in more ways, or cost seconds."""


def parts(*without):
    """List all parts but these, as params of a test."""
    names = [name for name in in_order() if name not in without]
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in names]


@pytest.fixture(scope="module")
def rehearsed():
    """Name -> what a part gave, or why it was left out; all in this process, each once."""
    machine, gave = look(rehearses=True), {}

    def rehearse(name):
        if name not in gave:
            part = PARTS.find(name)
            skipped = part.why_not(machine)
            rows = [] if skipped else [row.to_json() for row in part.rows(machine)]
            gave[name] = {"skipped": skipped, "rows": json.loads(json.dumps(rows))}
        return gave[name]

    return rehearse


@pytest.mark.parametrize("name", parts())
def test_a_part_runs_and_says_something_of_each_of_its_aims(rehearsed, name) -> None:
    if name in ("study", "ray-gangs"):
        assert rehearsed(name)["skipped"]
        return
    assert rehearsed(name)["skipped"] is None
    rows = rehearsed(name)["rows"]
    said = {row["what"].partition(": ")[0] for row in rows if row["aim"]}
    said |= {row["what"] for row in rows if row["aim"]}
    assert rows and set(PARTS.find(name).AIMS) <= said


@pytest.mark.parametrize("name", parts(*MEANINGLESS))
def test_what_is_no_matter_of_speed_holds_on_a_processor_too(rehearsed, name) -> None:
    assert not [row for row in rehearsed(name)["rows"] if row["holds"] is False]


@pytest.mark.slow
def test_a_killed_job_went_on_to_equal_weights(rehearsed) -> None:
    rows = {row["what"]: row["value"] for row in rehearsed("resume")["rows"]}
    assert rows["equal weights, to the bit"] is True


@pytest.mark.slow
def test_memory_ran_out_in_the_rehearsal_and_the_unit_came_through(rehearsed) -> None:
    assert rehearsed("out-of-memory")["rows"][0]["value"] is True


@pytest.mark.slow
def test_training_is_watched_and_planned_for_every_shape(rehearsed) -> None:
    facts = [row["facts"] for row in rehearsed("memory")["rows"] if row["facts"]]
    assert [one["shape"] for one in facts] == ["gpt2", "gpt2-xl", "mistral-7b"]
    assert all(one["states_gb"] > 0 and one["step_s"] > 0 for one in facts)


def test_an_extraction_is_planned_as_a_job_would_be(rehearsed) -> None:
    planned = [row for row in rehearsed("extraction")["rows"] if row["facts"]]
    assert len(planned) == 4
    assert all(row["facts"]["measured_over_planned"]["hours"] > 0 for row in planned)


@pytest.mark.slow
def test_a_machine_with_no_more_than_a_trainer_needs_runs_every_part() -> None:
    """Without Ray and W&B, whose absence the assertion at the end of the program sees."""
    done = subprocess.run(
        [sys.executable, "-c", REHEARSE, ",".join(ABSENT)], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=900,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
