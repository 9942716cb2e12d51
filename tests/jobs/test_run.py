"""A worker's answer about a job that fails, asked to stop or not."""

import json
import os
import subprocess
import sys
import time

import pytest
import torch

from cluster.errors import UserError
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs import run
from jobs.artifacts.artifact import Artifact
from jobs.attempt import Attempt
from jobs.kind import KINDS
from jobs.liveness import beating
from jobs.liveness.heartbeat import Phase, read_heartbeats
from jobs.worker import gpu_room
from jobs.worker.answer import Fault
from jobs.worker.batch import batch_payload
from jobs.worker.gpu_room import Taken
from tests.cluster.machine.test_visible_gpus import put_program
from tests.jobs.assignments import assigned
from tests.jobs.worker.test_gpu_room import SMI

GB = 10**9

SIZES = {"family": "gpt2", "num_layers": 1, "d_model": 8, "num_heads": 1}
REQUIRED = {
    "ask": {"base_url": "http://localhost:1/v1", "model": "m"},
    "pretrained": {"source": "hf://tiny/llama"},
    "adapter": {"source": "hf://tiny/llama"},
    "export": {"dtype": "bfloat16"},
    "intervene": {"intervention": "project-out"},
    "labelled-texts": {"format": "jigsaw"},
    "pairs": {"format": "nursery"},
    "pretrain": {"config": SIZES, "format": "nursery", "steps": 1},
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


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("No such file or directory: model/model.safetensors"),  # of Rust
        UserError("the model folder has no config.json"),
        OSError("Error no file named model.bin"),
    ],
)
@pytest.mark.parametrize(("leaves", "is_marked"), [(False, True), (True, True), (False, False)])
def test_what_a_job_says_of_a_root_that_went_away_under_it_is_no_fault_of_its_own(
    tmp_path, monkeypatch, error, leaves, is_marked
):
    (tmp_path / "root.json").write_text("{}")

    def run_kind(work):
        if not leaves:
            (tmp_path / "root.json").unlink()
        raise error

    monkeypatch.setattr(KINDS.find("probe"), "run", run_kind)
    told = json.loads(run.run(payload(tmp_path, is_root_marked=is_marked), Surroundings()))
    away = is_marked and not leaves
    assert (told["error"]["fault_class"] == "storage-away") is away
    assert ("is its file system mounted" in told["error"]["message"]) is away


@pytest.mark.parametrize(("stops", "state"), [(True, "interrupted"), (False, "failed")])
def test_a_fault_of_a_job_that_was_asked_to_stop_is_its_stopping(tmp_path, stops, state):
    surroundings = Surroundings(stop_requested=FaultThenStop(stops))
    answer = json.loads(run.run(payload(tmp_path), surroundings))
    assert answer["state"] == state
    assert (answer["error"] is None) is stops
    assert Artifact(Storage(str(tmp_path)), "probe", "0" * 64).find_record() is None


def test_code_that_ends_its_process_fails_its_job_and_not_the_launch(tmp_path, monkeypatch):
    monkeypatch.setattr(type(KINDS.find("probe")), "run", lambda self, work: sys.exit(0))
    answer = json.loads(run.run(payload(tmp_path), Surroundings()))
    assert answer["state"] == "failed" and "SystemExit: 0" in answer["error"]["message"]


def test_an_error_of_the_program_names_the_studys_own_entries_that_the_job_used():
    error = AttributeError("'float' object has no attribute 'estimate'")
    fault = Fault.of(error, None, ["entries/metrics/mine.py"])
    assert fault.message.endswith("(the job used the study's own entries/metrics/mine.py)")
    plain = Fault.of(UserError("no rows"), None, ["entries/metrics/mine.py"])
    assert plain.message == "no rows"


@pytest.mark.parametrize(
    ("num_gpus", "taken", "fault_class"),
    [(1.0, "GPU 0 is not free", "gpu-taken"), (1.0, None, "out-of-memory"), (0.5, "", None)],
)
def test_memory_that_others_hold_is_no_fault_of_the_layout(
    tmp_path, monkeypatch, num_gpus, taken, fault_class
):
    """On a part of a GPU the others are our own jobs, whose parts are theirs."""
    told = taken and Taken(described=taken, total=80 * GB, held=0)
    monkeypatch.setattr(gpu_room, "taken_by_others", lambda: told)
    params = {"index": 0, "holds_gb": 8.0, "limit_gb": 4.0, "num_gpus": num_gpus}
    answer = json.loads(run.run(payload(tmp_path, own_params=params), Surroundings()))
    assert answer["error"]["fault_class"] == (fault_class or "out-of-memory")
    assert ("GPU 0 is not free; 8 GB are more" in answer["error"]["message"]) is bool(taken)


def test_a_job_that_no_empty_gpu_holds_is_laid_out_otherwise_and_names_the_neighbour(
    tmp_path, monkeypatch
):
    told = Taken(described="GPU 0 is not free", total=80 * GB, held=0)
    monkeypatch.setattr(gpu_room, "taken_by_others", lambda: told)
    params = {"index": 0, "holds_gb": 8.0, "limit_gb": 4.0, "num_gpus": 1.0}
    given = payload(tmp_path, own_params=params, peak_memory_gb=90.0)
    fault = json.loads(run.run(given, Surroundings()))["error"]
    assert fault["fault_class"] == "out-of-memory"
    assert "8 GB are more than 4 GB; GPU 0 is not free" in fault["message"]


def test_memory_of_the_host_that_runs_out_is_no_matter_of_who_holds_the_gpu(tmp_path, monkeypatch):
    def loads(work):
        raise MemoryError

    monkeypatch.setattr(KINDS.find("probe"), "run", loads)
    monkeypatch.setattr(gpu_room, "taken_by_others", lambda: pytest.fail("asked"))
    given = payload(tmp_path, own_params={"index": 0, "num_gpus": 1.0})
    fault = json.loads(run.run(given, Surroundings()))["error"]
    assert fault["fault_class"] == "out-of-memory"
    assert "Failed" not in fault["message"]


@pytest.fixture
def full_gpu(monkeypatch):
    """A GPU that others hold all of: no context can be opened, so torch answers nothing."""

    def refuses(*args):
        raise RuntimeError("CUDA error: out of memory")

    for name in ("current_device", "mem_get_info", "get_device_properties", "memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, refuses)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(KINDS.find("probe"), "run", lambda work: torch.cuda.current_device())


@pytest.mark.parametrize("visible", [None, "0", "GPU-aa"])
def test_who_holds_all_of_a_gpu_is_said_by_the_driver_alone(
    tmp_path, monkeypatch, full_gpu, visible
):
    put_program(tmp_path, monkeypatch, SMI, visible)
    given = payload(tmp_path, own_params={"index": 0, "num_gpus": 1.0})
    fault = json.loads(run.run(given, Surroundings()))["error"]
    assert fault["fault_class"] == "gpu-taken"
    assert "GPU 0 is not free: 84.9 of its 85.9 GB are held by others" in fault["message"]
    assert "python (pid 4321) 61.2 GB; probe ran out of memory" in fault["message"]


def test_without_the_drivers_word_the_answer_is_that_memory_ran_out(
    tmp_path, monkeypatch, full_gpu
):
    monkeypatch.setenv("PATH", str(tmp_path))
    given = payload(tmp_path, own_params={"index": 0, "num_gpus": 1.0})
    answer = json.loads(run.run(given, Surroundings()))
    assert answer["state"] == "failed"
    assert answer["error"]["fault_class"] == "out-of-memory"
    assert answer["error"]["message"] == "probe ran out of memory: CUDA error: out of memory"


def test_a_look_around_that_fails_loses_no_answer(tmp_path, monkeypatch):
    def fails():
        raise ValueError("what no one foresaw")

    monkeypatch.setattr(gpu_room, "taken_by_others", fails)
    params = {"index": 0, "holds_gb": 8.0, "limit_gb": 4.0, "num_gpus": 1.0}
    answer = json.loads(run.run(payload(tmp_path, own_params=params), Surroundings()))
    assert answer["error"]["fault_class"] == "out-of-memory"
    assert answer["error"]["message"] == "8 GB are more than 4 GB"


@pytest.mark.parametrize("fails", [False, True])
def test_a_part_of_a_gpu_is_given_back_for_the_next_job_of_the_process(
    tmp_path, monkeypatch, fails
):
    fractions = [1.0]
    during = []

    def looks(work):
        during.append(fractions[-1])
        if fails:
            raise RuntimeError("CUDA out of memory")
        return {}

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (80 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", fractions.append)
    monkeypatch.setattr(KINDS.find("behave"), "run", looks)
    for number, params in enumerate([{"num_gpus": 0.25, "share_gpu": True}, {"num_gpus": 1}]):
        run.run(payload(tmp_path, kind="behave", key=str(number) * 64, own_params=params),
                Surroundings())  # fmt: skip
    assert during == [0.25 - 1 / 80, 1.0]


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
        matmul = torch.backends.cuda.matmul
        adds_in_bf16 = matmul.allow_bf16_reduced_precision_reduction
        seen.append((torch.get_float32_matmul_precision(), adds_in_bf16))
        return {}

    monkeypatch.setattr(KINDS.find(kind), "run", looks)
    monkeypatch.setattr(KINDS.find(kind), "USES_TORCH", True)
    torch.set_float32_matmul_precision("high")
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = True  # torch's default
    try:
        run.run(payload(tmp_path, kind=kind, own_params=REQUIRED.get(kind, {})), Surroundings())
        assert seen == [("highest", False)]
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


def test_the_last_job_of_a_call_beats_until_it_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(beating, "BEAT_EVERY_S", {True: 0.02})
    storage, publish, seen = Storage(str(tmp_path)), Attempt._publish, []

    def publish_slowly(attempt, *left):
        until = time.monotonic() + 10
        while not (beats := read_heartbeats(storage, attempt.folder.name)) or beats[0].beat < 2:
            assert time.monotonic() < until, "nothing beats while it is published"
            time.sleep(0.005)
        seen.append(beats[0])
        return publish(attempt, *left)

    monkeypatch.setattr(Attempt, "_publish", publish_slowly)
    short = payload(tmp_path, own_params={"index": 0})
    (answer,) = json.loads(run.run_batch(batch_payload([short]), Surroundings()))
    assert json.loads(answer)["state"] == "done"
    (beat,) = seen
    assert beat.phase is Phase.SAVING and not beat.is_over
    attempt = Artifact(storage, "probe", "0" * 64).attempt_folder("1")
    assert read_heartbeats(storage, attempt)[0].is_over
