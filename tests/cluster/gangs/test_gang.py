"""Gangs of two ranks over gloo on a Ray of its own, with real processes killed."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from cluster.executor import Ending
from cluster.gangs.gang_network import interface_of
from cluster.machine.resources import Resources
from cluster.orphans.launch_label import GANG_VARIABLE
from tests.real_ray import TICK, calling, first_outcome, is_gone

CALLS = '''
import json, os, time
from pathlib import Path

def together(value=1.0):
    import torch
    import torch.distributed as dist
    total = torch.tensor([value])
    dist.all_reduce(total)
    return total.item()

def add(payload, surroundings):
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "CUDA_VISIBLE_DEVICES",
             "GLOO_SOCKET_IFNAME", "SLURM_PROCID")
    seen = {name: os.environ.get(name) for name in names}
    total = together(surroundings.rank + 1.0)
    asked = [surroundings.rank, surroundings.num_ranks, surroundings.local_rank]
    Path(f"{payload}-{surroundings.rank}").write_text(json.dumps([asked, seen, os.getcwd()]))
    together()
    return str(total)

def first_says(payload, surroundings):
    """Rank 1 returns alone; rank 0 waits for it."""
    together()
    if surroundings.rank == 1:
        return "something is wrong"
    together()
    return "never"

def second_fails(payload, surroundings):
    together()
    if surroundings.rank == 1:
        raise OSError("no such thing")
    together()
    return "never"

def stay(payload, surroundings):
    """Says that it runs; returns when it is asked to."""
    together()
    Path(f"{payload}-{surroundings.rank}").write_text(str(os.getpid()))
    while not surroundings.stop_requested():
        together()
        time.sleep(0.01)
    return "saved"

def save_slowly(payload, surroundings):
    """Takes two seconds to save."""
    stay(payload, surroundings)
    time.sleep(2.0)
    return "saved"

def wait_for(payload, surroundings):
    while not Path(payload).exists():
        time.sleep(0.01)
    return "done"

def reserved(payload, surroundings):
    """States of all reservations."""
    from ray.util import placement_group_table
    return json.dumps([group["state"] for group in placement_group_table().values()])

def insist(payload, surroundings):
    """Says that it runs; hears nothing."""
    together()
    Path(f"{payload}-{surroundings.rank}").write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)
'''
PAIR = Resources(num_ranks=2)


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    folder, offered = tmp_path_factory.mktemp("calls"), Resources(num_cpus=2)
    with calling(folder, "gang_calls", CALLS, offered, SLURM_PROCID="7") as executor:
        yield executor


def started(executor, call, tmp_path):
    """Process ids of the two ranks, once both run."""
    executor.submit("a", f"gang_calls:{call}", str(tmp_path / "runs"), PAIR)
    files = [tmp_path / f"runs-{rank}" for rank in range(2)]
    until = time.monotonic() + 180
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < until, "the ranks did not start"
        assert not executor.wait(0.1), "the call ended"
    return [int(file.read_text()) for file in files]


def all_cores_are_free(executor):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if [node.num_cpus for node in executor.free()] == [2]:
            return True
        TICK.wait(0.1)
    return False


def test_two_ranks_add_up_and_know_who_they_are(executor, tmp_path):
    executor.submit("a", "gang_calls:add", str(tmp_path / "saw"), PAIR)
    outcome = first_outcome(executor)
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "3.0"), outcome.error
    assert interface_of(outcome.node)
    for rank in range(2):
        asked, seen, folder = json.loads((tmp_path / f"saw-{rank}").read_text())
        assert asked == [rank, 2, rank]
        assert seen == {
            "RANK": str(rank),
            "WORLD_SIZE": "2",
            "LOCAL_RANK": str(rank),
            "LOCAL_WORLD_SIZE": "2",
            "CUDA_VISIBLE_DEVICES": "",
            "GLOO_SOCKET_IFNAME": interface_of(outcome.node),
            "SLURM_PROCID": None,
        }
        assert folder == os.getcwd()


@pytest.mark.slow
def test_a_killed_rank_ends_the_call_as_lost_and_says_which_and_where(executor, tmp_path):
    pids = started(executor, "stay", tmp_path)
    os.kill(pids[1], signal.SIGKILL)
    outcome = first_outcome(executor, limit_s=60)
    assert outcome.ending is Ending.LOST
    assert outcome.error.startswith(f"rank 1 on {outcome.node} (pid {pids[1]}) died: ")
    assert is_gone(pids[0])
    assert all_cores_are_free(executor)


@pytest.mark.slow
def test_all_ranks_killed_is_a_lost_call(executor, tmp_path):
    for pid in (pids := started(executor, "stay", tmp_path)):
        os.kill(pid, signal.SIGKILL)
    outcome = first_outcome(executor, limit_s=60)
    assert outcome.ending is Ending.LOST
    assert all(f"(pid {pid}) died" in outcome.error for pid in pids)


@pytest.mark.slow
def test_what_one_rank_raises_is_the_outcome_of_all(executor):
    executor.submit("a", "gang_calls:second_fails", "", PAIR)
    outcome = first_outcome(executor)
    assert (outcome.ending, outcome.error) == (Ending.RAISED, "rank 1: OSError: no such thing")
    assert all_cores_are_free(executor)


@pytest.mark.slow
def test_a_rank_that_returns_alone_speaks_for_all(executor):
    executor.submit("a", "gang_calls:first_says", "", PAIR)
    outcome = first_outcome(executor)
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "something is wrong")


@pytest.mark.slow
def test_a_cancelled_gang_is_asked_on_every_rank_and_may_save(executor, tmp_path):
    started(executor, "stay", tmp_path)
    executor.cancel("a")
    outcome = first_outcome(executor)
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "saved")


@pytest.mark.slow
def test_a_gang_that_will_not_stop_is_ended_after_its_grace(executor, tmp_path):
    pids = started(executor, "insist", tmp_path)
    executor.cancel("a")
    assert first_outcome(executor).ending is Ending.CANCELLED
    assert all(is_gone(pid) for pid in pids)
    assert all_cores_are_free(executor)


@pytest.mark.slow
def test_a_gang_that_is_given_longer_to_save_is_not_ended_after_its_grace(
    executor, tmp_path, monkeypatch
):
    monkeypatch.setattr(executor, "grace_s", 0.2)
    started(executor, "save_slowly", tmp_path)
    executor.cancel("a", within_s=60.0)
    assert first_outcome(executor).answer == "saved"


@pytest.fixture
def occupied(executor, tmp_path):
    """One of the two cores is taken by a call that stays until this is over."""
    executor.submit("b", "gang_calls:wait_for", str(tmp_path / "go"), Resources())
    yield
    (tmp_path / "go").touch()
    assert first_outcome(executor).ticket == "b"


@pytest.mark.slow
def test_a_gang_that_is_cancelled_while_it_waits_for_its_place_leaves_nothing_behind(
    executor, occupied
):
    executor.submit("a", "gang_calls:second_fails", "", PAIR)
    until = time.monotonic() + 60
    while "PENDING" not in reservations(executor):
        assert time.monotonic() < until
    executor.cancel("a")
    assert first_outcome(executor, limit_s=10).ending is Ending.CANCELLED
    assert not {"PENDING", "CREATED"} & set(reservations(executor))


@pytest.mark.slow
def test_a_driver_killed_while_it_waits_for_a_place_waits_no_more(executor, occupied):
    executor.submit("a", "gang_calls:second_fails", "", PAIR)
    until = time.monotonic() + 60
    while "PENDING" not in reservations(executor):
        assert time.monotonic() < until
    os.kill(driver_of("a"), signal.SIGKILL)
    assert first_outcome(executor, limit_s=30).ending is Ending.LOST
    assert not {"PENDING", "CREATED"} & set(reservations(executor))


@pytest.mark.slow
def test_a_gang_whose_place_others_keep_did_not_begin_and_says_what_it_needs(executor, occupied):
    executor.submit("a", "gang_calls:second_fails", "", PAIR)
    outcome = first_outcome(executor, limit_s=100)
    assert outcome.ending is Ending.NO_ROOM
    assert "no room for 2 x (1 CPU) on 1 node just now: 2 CPUs on each node" in outcome.error


def reservations(executor):
    """States of all reservations, of those that ended too; nothing else ends meanwhile."""
    executor.submit(f"look at {time.monotonic()}", "gang_calls:reserved", "", Resources(num_cpus=0))
    outcome = first_outcome(executor, limit_s=30)
    assert outcome.ticket.startswith("look at"), outcome
    return json.loads(outcome.answer)


@pytest.mark.slow
def test_a_killed_driver_leaves_no_rank_and_no_place_taken(executor, tmp_path):
    pids = started(executor, "stay", tmp_path)
    os.kill(driver_of("a"), signal.SIGKILL)
    assert first_outcome(executor).ending is Ending.LOST
    assert all(is_gone(pid) for pid in pids)
    assert all_cores_are_free(executor)


def driver_of(ticket):
    """The process whose title is the task's."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            title = (entry / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
            if title.strip() == f"ray::{ticket}":
                return int(entry.name)
    raise AssertionError(f"no process does {ticket}")


@pytest.mark.slow
def test_a_gang_that_was_expected_again_starts_on_processes_that_stood_ready(executor, tmp_path):
    pids = started(executor, "stay", tmp_path)
    until = time.monotonic() + 500
    while len(spares := ready_processes(f"{GANG_VARIABLE}=a+")) < 2:
        assert time.monotonic() < until, "no two processes are ready"
        executor.expect_again("a")  # where others hold the processors, for longer than a minute
        TICK.wait(1.0)
    assert [node.num_cpus for node in executor.free()] == [0]  # of which they take none
    os.kill(pids[0], signal.SIGKILL)
    assert first_outcome(executor, limit_s=60).ending is Ending.LOST
    executor.submit("b", "gang_calls:add", str(tmp_path / "saw"), PAIR)
    outcome = first_outcome(executor)
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "3.0"), outcome.error
    assert {one.pid for one in outcome.ranks} == spares
    assert all(is_gone(pid) for pid in spares) and all_cores_are_free(executor)


def ready_processes(variable):
    """Processes that started with a variable, have imported torch, and import no more."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if variable not in [f"{name}={text}" for name, text in process.environ().items()]:
                continue
            policies = [os.sched_getscheduler(thread.id) for thread in process.threads()]
            files = {Path(one.path).name for one in process.memory_maps()}
            if "libtorch_python.so" in files and os.SCHED_IDLE not in policies:
                found.add(process.pid)
    return found
