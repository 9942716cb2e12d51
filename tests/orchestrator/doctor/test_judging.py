"""What checks make of what nodes answered, where a fault cannot be planted on this machine."""

import pytest

from cluster.fitness.asked_nodes import AskedNode
from cluster.fitness.looking import Answer
from cluster.machine.resources import Resources
from orchestrator.doctor.checks import (
    all_reduce,
    clock,
    container,
    gpus,
    hub,
    left_overs,
    limits,
    locks,
    ports,
    temp_folders,
    wandb,
)
from orchestrator.plan.temporary_space import TemporarySpace

GPU = {
    "index": "0",
    "uuid": "GPU-1",
    "name": "NVIDIA H100 80GB HBM3",
    "driver": "570.10",
    "total_mib": "81559",
    "used_mib": "12",
    "temperature": "41",
    "persistence": "Enabled",
    "compute_mode": "Default",
    "mig": "Disabled",
    "ecc_errors": "0",
    "retired_pending": "[N/A]",
    "remap_pending": "No",
    "remap_failure": "No",
    "hot_slowdown": "Not Active",
    "power_slowdown": "Not Active",
}
ROOMS = {
    "temp": {"path": "/tmp", "fault": None, "total": 10**12, "free": 5 * 10**11},
    "/dev/shm": {"path": "/dev/shm", "fault": None, "total": 64 * 10**9, "free": 60 * 10**9},
}
for room in ROOMS.values():
    room["free_inodes"] = 10**6
LIMITS = {
    "files": 65536,
    "most_files": 65536,
    "processes": None,
    "used_processes": 400,
    "group_processes": None,
    "locked_bytes": None,
    "cpu_seconds": None,
    "file_bytes": None,
    "address_bytes": None,
    "has_infiniband": False,
    "cores": 64,
    "group_cores": None,
    "group_memory_bytes": None,
    "memory_bytes": 512 * 10**9,
}
LEFT = {
    "sessions": 1,
    "session_bytes": 10**6,
    "session_folder": "/tmp/ray",
    "orphans": [],
    "folders": [],
}
NODE = AskedNode(
    name="n1", identifier="a", address="h", offers=Resources(num_cpus=64, memory_gb=500)
)


def seen(lines):
    return [(line.verdict.value, line.value) for line in lines]


def of_gpu(processes=(), visible=(GPU["name"],), **fields):
    value = {"gpus": [{**GPU, **fields}], "visible": list(visible), "processes": list(processes)}
    return gpus.judge({"n1": Answer(value={**value, "fault": None})}, {"n1": 1})


def test_a_healthy_gpu_is_one_line():
    assert seen(of_gpu()) == [("ok", "1 GPU: NVIDIA H100 80GB HBM3")]


@pytest.mark.parametrize(
    ("fields", "verdict", "text"),
    [
        ({"ecc_errors": "3"}, "bad", "3 memory errors (ECC)"),
        ({"remap_pending": "Yes"}, "bad", "to be remapped"),
        ({"retired_pending": "Yes"}, "bad", "to be remapped"),
        ({"remap_failure": "Yes"}, "bad", "spare memory is used up"),
        ({"hot_slowdown": "Active", "temperature": "92"}, "warning", "by heat, 92 °C"),
        ({"power_slowdown": "Active"}, "warning", "power supply"),
        ({"compute_mode": "Prohibited"}, "bad", "Prohibited"),
        ({"compute_mode": "Exclusive_Process"}, "warning", "Exclusive_Process"),
        ({"persistence": "Disabled"}, "warning", "persistence mode is off"),
        ({"used_mib": "61000"}, "warning", "75% of its memory is held by processes that the"),
    ],
)
def test_what_a_driver_complains_of_is_told(fields, verdict, text):
    faults = [line for line in seen(of_gpu(**fields)) if line[0] != "ok"]
    ((said, value),) = faults
    assert said == verdict and value.startswith("n1, GPU 0: ") and text in value


def test_who_holds_a_gpu_is_named():
    held = of_gpu([["GPU-1", "python (pid 7) 61.2 GB", 61.2]], used_mib="61000")
    assert any("held by python (pid 7) 61.2 GB" in value for _, value in seen(held))


def test_missing_gpus_and_mixed_ones_are_told():
    assert ("bad", "n1: 1 GPUs are offered, 0 are seen") in seen(of_gpu(visible=()))
    ((verdict, value),) = seen(of_gpu(visible=("A", "B")))
    assert (verdict, value) == ("warning", "unlike GPUs: 1 A; 1 B")


@pytest.mark.parametrize(
    ("answer", "verdict", "text"),
    [
        (Answer(value={"cuda": "13.0", "num_gpus": 1, "faults": {}}), "ok", "torch (CUDA 13.0)"),
        (Answer(value={"cuda": None, "num_gpus": 0, "faults": {}}), "bad", "for processors"),
        (Answer(value={"cuda": "13.0", "num_gpus": 0, "faults": {}}), "bad", "sees 0 of 1"),
        (
            Answer(value={"cuda": "13.0", "num_gpus": 1, "faults": {"0": "ECC"}}),
            "bad",
            "GPU 0: ECC",
        ),
        (Answer(fault="RuntimeError: driver too old"), "bad", "driver too old"),
    ],
)
def test_torch_has_to_compute_on_the_gpus(answer, verdict, text):
    ((said, value),) = seen(gpus.judge_torch({"n1": answer}, {"n1": 1}))
    assert said == verdict and text in value


@pytest.mark.parametrize(
    ("now", "verdict"), [(100.2, "ok"), (97.9, "warning"), (104.1, "warning"), (161.5, "bad")]
)
def test_a_clock_is_off_where_its_time_lies_outside_question_and_answer(now, verdict):
    answers = {"n1": Answer(value={"now": now})}
    ((said, _),) = seen(clock.judge([NODE], answers, 100.0, 101.0))
    assert said == verdict


@pytest.mark.parametrize(
    ("field", "value", "verdict", "text"),
    [
        ("files", 900, "bad", "900 open files"),
        ("files", 2048, "warning", "2,048 open files"),
        ("processes", 500, "bad", "room for 100 more"),
        ("group_processes", 800, "warning", "room for 800 more"),
        ("cpu_seconds", 1800, "bad", "killed after 1,800 s of computing"),
        ("file_bytes", 2 * 10**9, "warning", "larger than 2 GB"),
        ("address_bytes", 3 * 10**9, "bad", "may map 3 GB"),
        ("address_bytes", 16 * 10**9, "warning", "may map 16 GB"),
    ],
)
def test_low_limits_are_told(field, value, verdict, text):
    ((said, line),) = seen(limits.judge({"n1": Answer(value={**LIMITS, field: value})}))
    assert said == verdict and text in line


def test_locked_memory_matters_where_there_is_infiniband():
    value = {**LIMITS, "locked_bytes": 65536}
    assert seen(limits.judge({"n1": Answer(value=value)}))[0][0] == "ok"
    value["has_infiniband"] = True
    assert seen(limits.judge({"n1": Answer(value=value)}))[0][0] == "warning"


@pytest.mark.parametrize(
    ("field", "value", "verdict"),
    [("cores", 64, "ok"), ("group_cores", 8, "warning"), ("group_memory_bytes", 10**11, "bad")],
)
def test_a_container_that_gives_less_than_is_offered_is_told(field, value, verdict):
    ((said, _),) = seen(container.judge([NODE], {"n1": Answer(value={**LIMITS, field: value})}))
    assert said == verdict


@pytest.mark.parametrize(
    ("folder", "change", "verdict"),
    [
        ("temp", {"free": 5 * 10**11}, "ok"),
        ("temp", {"free": 10**8}, "bad"),
        ("temp", {"free": 2 * 10**10}, "warning"),
        ("temp", {"free_inodes": 3}, "bad"),
        ("temp", {"fault": "Permission denied"}, "bad"),
        ("/dev/shm", {"free": 64 * 10**6}, "bad"),
        ("/dev/shm", {"free": 5 * 10**8}, "warning"),
    ],
)
def test_little_room_is_told(folder, change, verdict):
    value = {**ROOMS, folder: {**ROOMS[folder], **change}}
    ((said, _),) = seen(temp_folders.judge({"n1": Answer(value=value)}))
    assert said == verdict


@pytest.mark.parametrize(
    ("most", "at_once", "verdict"),
    [(4e11, 4e11, "ok"), (4e11, 6e11, "warning"), (6e11, 6e11, "bad")],
)
def test_little_room_for_what_the_study_puts_there_is_told(most, at_once, verdict):
    needed = TemporarySpace(most_bytes=int(most), at_once_bytes=int(at_once), num_jobs=3)
    ((said, value),) = seen(temp_folders.judge({"n1": Answer(value=ROOMS)}, needed))
    assert said == verdict and f"up to {most / 1e9:.1f} GB a job" in value


def test_who_does_not_reach_whom_is_told():
    n3, none = {"n3": "no answer"}, {}
    answers = {"n1": n3, "n2": n3, "n3": none}
    lines = ports.judge({n: Answer(value={"unreached": u}) for n, u in answers.items()})
    assert seen(lines) == [("bad", "n3 is not reached from n1, n2: no answer")]


def test_ranks_that_fail_are_placed_and_others_timed():
    good = {"ranks": [{"seconds": 0.02, "interface": "ib0"}]}
    answers = {"n1": Answer(value=good), "n2": Answer(value={"ranks": [{"fault": "timeout"}]})}
    ((verdict, value),) = seen(all_reduce.judge(answers, 2, "nccl"))
    assert (verdict, value) == ("bad", "2 ranks on 2 nodes, nccl: n2: timeout")
    answers["n2"] = Answer(value=good)
    assert seen(all_reduce.judge(answers, 2, "nccl")) == [
        ("ok", "2 ranks on 2 nodes, nccl over ib0: 4 MiB in 20 ms")
    ]


@pytest.mark.parametrize(
    ("change", "is_needed", "verdict"),
    [
        ({"token": "valid"}, True, "ok"),
        ({"token": "refused"}, True, "bad"),
        ({"fault": "ConnectError"}, True, "bad"),
        ({"fault": "ConnectError"}, False, "warning"),
        ({"offline": "HF_HUB_OFFLINE"}, True, "bad"),
    ],
)
def test_the_hub_matters_where_a_study_needs_it(change, is_needed, verdict):
    value = {"endpoint": "https://hub", "offline": None, "token": "none", "fault": None, **change}
    ((said, _),) = seen(hub.judge({"n1": Answer(value=value)}, is_needed=is_needed))
    assert said == verdict


@pytest.mark.parametrize(
    ("mode", "fault", "verdict"),
    [("online", None, "ok"), ("online", "timed out", "warning"), ("offline", None, "ok")],
)
def test_wandb_is_a_mirror(mode, fault, verdict):
    value = {"mode": mode, "chosen": None, "url": "https://w", "fault": fault}
    ((said, _),) = seen(wandb.judge({"n1": Answer(value=value)}))
    assert said == verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [({}, "ok"), ({"orphans": [4711]}, "warning"), ({"session_bytes": 9e9}, "warning")],
)
def test_what_was_left_behind_is_told(change, verdict):
    ((said, _),) = seen(left_overs.judge({"n1": Answer(value={**LEFT, **change})}))
    assert said == verdict


@pytest.mark.parametrize(
    ("lock", "verdict"),
    [("held", "ok"), ("free", "bad"), ("no locks", "bad"), ("not there", "not checked")],
)
def test_a_lock_that_is_local_to_a_node_is_bad(lock, verdict):
    assert locks.judge(lock, "n1: ").verdict.value == verdict
