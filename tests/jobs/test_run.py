"""A worker's answer about a job that fails, asked to stop or not."""

import json
import os
import subprocess
import sys

import pytest
import torch

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs import run
from jobs.artifacts.artifact import Artifact
from jobs.kind import KINDS
from tests.jobs.assignments import assigned

REQUIRED = {
    "ask": {"base_url": "http://localhost:1/v1", "model": "m"},
    "pretrained": {"source": "hf://tiny/llama"},
    "adapter": {"source": "hf://tiny/llama"},
    "export": {"dtype": "bfloat16"},
    "intervene": {"intervention": "project-out"},
    "labelled-texts": {"format": "jigsaw"},
    "pairs": {"format": "nursery"},
    "pretrain": {"config": {"family": "gpt2"}, "format": "nursery", "steps": 1},
}
"""Params of kinds that have some without a default."""


def payload(root, **changed):
    given = {"kind": "probe", "key": "0" * 64, "own_params": {"index": 0, "seconds": 1.0}}
    return assigned(**{"root": str(root), **given, **changed}).to_json()


class FaultThenStop:
    """Asked for the first time while a library is busy, which makes a fault of the interrupt."""

    def __init__(self, stops):
        self.stops = stops
        self.asked = False

    def __call__(self):
        if self.asked:
            return self.stops
        self.asked = True
        raise SystemError("initialisation raised unreported exception")


@pytest.mark.parametrize(("stops", "state"), [(True, "stopped"), (False, "failed")])
def test_a_fault_of_a_job_that_was_asked_to_stop_is_its_stopping(tmp_path, stops, state):
    surroundings = Surroundings(stop_requested=FaultThenStop(stops))
    answer = json.loads(run.run(payload(tmp_path), surroundings))
    assert answer["state"] == state
    assert (answer["error"] is None) is stops
    assert Artifact(Storage(str(tmp_path)), "probe", "0" * 64).find_record() is None


@pytest.mark.parametrize(
    ("num_gpus", "taken", "fault_class"),
    [(1.0, "GPU 0 is not free", "gpu-taken"), (1.0, None, "out-of-memory"), (0.5, "", None)],
)
def test_memory_that_others_hold_is_no_fault_of_the_layout(
    tmp_path, monkeypatch, num_gpus, taken, fault_class
):
    """On a part of a GPU the others are our own jobs, whose parts are theirs."""
    monkeypatch.setattr(run, "taken_by_others", lambda: taken)
    params = {"index": 0, "holds_gb": 8.0, "limit_gb": 4.0, "num_gpus": num_gpus}
    answer = json.loads(run.run(payload(tmp_path, own_params=params), Surroundings()))
    assert answer["error"]["fault_class"] == (fault_class or "out-of-memory")
    assert ("GPU 0 is not free; 8 GB are more" in answer["error"]["message"]) is bool(taken)


@pytest.mark.parametrize("kind", [name for name in KINDS.names() if KINDS.find(name).USES_TORCH])
def test_memory_that_runs_out_anywhere_in_a_job_is_said_as_such(tmp_path, monkeypatch, kind):
    def loads(work):
        raise RuntimeError("CUDA driver error: out of memory\nand where")

    params = REQUIRED.get(kind, {})
    monkeypatch.setattr(KINDS.find(kind), "run", loads)
    given = payload(tmp_path, kind=kind, own_params=params)
    fault = json.loads(run.run(given, Surroundings()))["error"]
    assert (fault["code"], fault["fault_class"]) == ("out_of_memory", "out-of-memory"), fault
    assert fault["message"] == f"{kind} ran out of memory: CUDA driver error: out of memory"


@pytest.mark.parametrize("kind", ["probe", "pairs"])
def test_precision_that_the_surroundings_lowered_is_full_where_models_run(
    tmp_path, monkeypatch, kind
):
    seen = []

    def looks(work):
        seen.append(torch.get_float32_matmul_precision())
        return {}

    monkeypatch.setattr(KINDS.find(kind), "run", looks)
    monkeypatch.setattr(KINDS.find(kind), "USES_TORCH", True)
    torch.set_float32_matmul_precision("high")
    try:
        run.run(payload(tmp_path, kind=kind, own_params=REQUIRED.get(kind, {})), Surroundings())
        assert seen == ["highest"]
    finally:
        torch.set_float32_matmul_precision("highest")


TF32_FORCED = """
import sys, types
on_gpu, on_processor, when = sys.argv[1:]
stands_for_torch = types.ModuleType("torch")
if when == "early":
    sys.modules["torch"] = stands_for_torch
from cluster.executor import Surroundings
from jobs.run import run
print(run(on_gpu, Surroundings()))
sys.modules["torch"] = stands_for_torch
print(run(on_gpu, Surroundings()))
print(run(on_processor, Surroundings()))
"""
"""Two jobs with a GPU and one without, in a process that loaded torch before the first or in it."""


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_job_on_a_gpu_is_refused_where_nvidias_variable_was_read_before_it(tmp_path, when):
    payloads = [
        payload(tmp_path, key=str(num_gpus) * 64, own_params={"index": 0, "num_gpus": num_gpus})
        for num_gpus in (1, 0)
    ]
    said = subprocess.run(
        [sys.executable, "-c", TF32_FORCED, *payloads, when],
        env={**os.environ, "NVIDIA_TF32_OVERRIDE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    ends = ["failed", "failed"] if when == "early" else ["done", "reused"]
    assert [answer["state"] for answer in answers] == [*ends, "done"], said.stdout
    if when == "early":
        assert answers[0]["error"]["fault_class"] == "mistake"
        assert "NVIDIA_TF32_OVERRIDE=1 was set" in answers[0]["error"]["message"]
