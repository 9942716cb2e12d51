"""The Ray executor on a Ray of its own, with real processes killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.errors import SurroundingsError
from cluster.executor import Ending
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from tests.real_ray import TICK, calling, is_gone

CALLS = '''
import json, os, signal, sys, time
from pathlib import Path

def echo(payload, surroundings):
    return payload

def where(payload, surroundings):
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return json.dumps({"pid": os.getpid(), "gpus": seen, "node": surroundings.node})

def allocator(payload, surroundings):
    return os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "")

def fail(payload, surroundings):
    raise OSError("no such thing")

def die(payload, surroundings):
    os.kill(os.getpid(), signal.SIGKILL)

def run_on(payload):
    """Says that it runs, until it is interrupted."""
    Path(payload).write_text(str(os.getpid()))
    while True:
        time.sleep(0.01)

def stay(payload, surroundings):
    """Returns when it is interrupted."""
    try:
        run_on(payload)
    except KeyboardInterrupt:
        return "saved"

def stumble(payload, surroundings):
    """Meets its interrupt where a library makes a fault of it."""
    try:
        run_on(payload)
    except KeyboardInterrupt:
        raise SystemError("initialisation raised unreported exception") from None

def save_slowly(payload, surroundings):
    """Takes a second to save."""
    stay(payload, surroundings)
    time.sleep(1.0)
    return "saved"

def insist(payload, surroundings):
    """Says that it runs; hears nothing."""
    Path(payload).write_text(str(os.getpid()))
    while True:
        try:
            time.sleep(0.01)
        except KeyboardInterrupt:
            pass

def meet(payload, surroundings):
    """Returns once the other one runs at the same time."""
    mine, other = payload.split()
    Path(mine).write_text("")
    until = time.monotonic() + 30
    while not Path(other).exists():
        if time.monotonic() > until:
            return "alone"
        time.sleep(0.01)
    return "met"
'''


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    """Two CPUs and one pretended GPU."""
    offered = Resources(num_cpus=2, num_gpus=1, gpu_memory_gb=47.5)
    with calling(tmp_path_factory.mktemp("calls"), "ray_calls", CALLS, offered) as executor:
        yield executor


def finish(executor, count=1):
    """Outcomes by ticket, once so many calls have ended."""
    outcomes, until = {}, time.monotonic() + 60
    while len(outcomes) < count:
        assert time.monotonic() < until, f"only {outcomes} ended"
        outcomes.update({outcome.ticket: outcome for outcome in executor.wait(0.5)})
    return outcomes


def written(path: Path) -> int:
    """The number in a file, once it is there."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if path.exists() and path.read_text():
            return int(path.read_text())
        TICK.wait(0.02)
    raise AssertionError(f"{path} was not written")


def test_a_call_returns_its_answer_and_where_it_ran(executor):
    executor.submit("a", "ray_calls:echo", "hello", Resources())
    outcome = finish(executor)["a"]
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "hello")
    assert outcome.node


def test_it_offers_what_it_was_given(executor):
    (node,) = executor.nodes()
    assert (node.num_cpus, node.num_gpus, node.gpu_memory_gb) == (2, 1, 47.5)
    assert executor.capacity() == node


def test_many_calls_share_a_few_warm_processes(executor):
    for index in range(60):
        executor.submit(f"w{index}", "ray_calls:where", "", Resources())
    pids = {json.loads(outcome.answer)["pid"] for outcome in finish(executor, 60).values()}
    assert len(pids) <= 2


def test_two_calls_of_one_cpu_run_at_the_same_time(executor, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    executor.submit("a", "ray_calls:meet", f"{here} {there}", Resources())
    executor.submit("b", "ray_calls:meet", f"{there} {here}", Resources())
    assert [outcome.answer for outcome in finish(executor, 2).values()] == ["met", "met"]


def test_a_call_sees_exactly_the_gpus_it_asked_for(executor):
    executor.submit("none", "ray_calls:where", "", Resources())
    executor.submit("one", "ray_calls:where", "", Resources(num_gpus=1))
    executor.submit("none again", "ray_calls:where", "", Resources(num_cpus=2))
    outcomes = finish(executor, 3)
    seen = {ticket: json.loads(outcome.answer)["gpus"] for ticket, outcome in outcomes.items()}
    assert seen == {"none": "", "one": "0", "none again": ""}


def test_calls_with_parts_of_a_gpu_share_it_and_the_next_one_waits(executor, tmp_path):
    half = Resources(num_cpus=0.5, num_gpus=0.5)
    files = {ticket: tmp_path / ticket for ticket in ("first", "second", "third")}
    for ticket in ("first", "second"):
        executor.submit(ticket, "ray_calls:stay", str(files[ticket]), half)
    assert written(files["first"]) != written(files["second"])  # both run now
    executor.submit("third", "ray_calls:stay", str(files["third"]), half)
    (left,) = executor.free()
    assert (left.num_gpus, left.num_cpus) == (0, 1)
    assert executor.wait(1.0) == [] and not files["third"].exists()
    executor.cancel("first")
    assert written(files["third"])
    executor.cancel("second")
    executor.cancel("third")
    finish(executor, 3)


def test_memory_of_gpus_is_taken_in_segments_that_grow(executor):
    executor.submit("none", "ray_calls:allocator", "", Resources())
    executor.submit("one", "ray_calls:allocator", "", Resources(num_gpus=1))
    said = {ticket: outcome.answer for ticket, outcome in finish(executor, 2).items()}
    assert said["none"] == "" and said["one"].startswith("expandable_segments:True,")


def test_a_call_whose_gpus_are_gone_meanwhile_waits_and_does_not_end_the_launch(executor):
    executor.submit("a", "ray_calls:where", "", Resources(num_gpus=1, gpu_memory_gb=80))
    assert executor.wait(0.5) == []
    executor.cancel("a")
    assert finish(executor)["a"].ending is Ending.CANCELLED


def test_what_a_call_raises_is_its_outcome(executor):
    executor.submit("a", "ray_calls:fail", "", Resources())
    outcome = finish(executor)["a"]
    assert (outcome.ending, outcome.error) == (Ending.RAISED, "OSError: no such thing")


def test_a_killed_process_is_a_lost_call_the_next_one_runs_and_nothing_is_printed(executor, capfd):
    executor.submit("a", "ray_calls:die", "", Resources())
    assert finish(executor)["a"].ending is Ending.LOST
    executor.submit("b", "ray_calls:echo", "still here", Resources())
    assert finish(executor)["b"].answer == "still here"
    assert capfd.readouterr() == ("", "")


def test_a_cancelled_call_is_interrupted_and_may_save(executor, tmp_path):
    executor.submit("a", "ray_calls:stay", str(tmp_path / "runs"), Resources())
    written(tmp_path / "runs")
    executor.cancel("a")
    outcome = finish(executor)["a"]
    assert (outcome.ending, outcome.answer) == (Ending.RETURNED, "saved")


def test_a_cancelled_call_that_fails_on_its_way_out_was_cancelled(executor, tmp_path):
    executor.submit("a", "ray_calls:stumble", str(tmp_path / "runs"), Resources())
    written(tmp_path / "runs")
    executor.cancel("a")
    outcome = finish(executor)["a"]
    assert outcome.ending is Ending.CANCELLED
    assert "unreported" in outcome.error


def test_a_cancelled_call_that_has_not_started_never_does(executor, tmp_path):
    executor.submit("a", "ray_calls:stay", str(tmp_path / "runs"), Resources(num_cpus=2))
    written(tmp_path / "runs")
    executor.submit("b", "ray_calls:stay", str(tmp_path / "never"), Resources())
    executor.cancel("b")
    assert finish(executor)["b"].ending is Ending.CANCELLED
    executor.cancel("a")
    finish(executor)
    assert not (tmp_path / "never").exists()


def test_a_call_that_will_not_stop_is_killed_after_its_grace(executor, tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "grace_s", 0.2)
    executor.submit("a", "ray_calls:insist", str(tmp_path / "runs"), Resources())
    pid = written(tmp_path / "runs")
    executor.cancel("a")
    assert finish(executor)["a"].ending is Ending.CANCELLED
    assert is_gone(pid)


def test_a_call_that_is_given_longer_to_save_is_not_killed_after_its_grace(
    executor, tmp_path, monkeypatch
):
    monkeypatch.setattr(executor, "grace_s", 0.2)
    executor.submit("a", "ray_calls:save_slowly", str(tmp_path / "runs"), Resources())
    written(tmp_path / "runs")
    executor.cancel("a", within_s=60.0)
    assert finish(executor)["a"].answer == "saved"


@pytest.mark.slow
def test_a_stopped_call_in_a_process_that_was_interrupted_before_is_killed_past_ray(
    executor, tmp_path, monkeypatch
):
    """Ray asks on the line that it has to the process, which takes the question and stands."""
    monkeypatch.setattr(executor, "grace_s", 0.2)
    pids = []
    for ticket in ("a", "b"):
        executor.submit(ticket, "ray_calls:stay", str(tmp_path / ticket), Resources())
        pids.append(written(tmp_path / ticket))
        if ticket == "b":
            os.kill(pids[1], signal.SIGSTOP)
        executor.cancel(ticket)
        ending = finish(executor)[ticket].ending
        assert ending is (Ending.RETURNED if ticket == "a" else Ending.CANCELLED)
    assert pids[0] == pids[1] and is_gone(pids[1])


def test_an_address_where_nothing_answers_gives_one_message():
    with pytest.raises(SurroundingsError, match="Ray cannot be joined: nothing answers"):
        Executor(address="127.0.0.1:9").start()


LAUNCH = """
import sys
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
executor = Executor(offered=Resources(num_cpus=1))
executor.start()
executor.submit("a", "ray_calls:stay", sys.argv[1], Resources())
while True:
    executor.wait(0.5)
"""


def test_a_ray_of_our_own_dies_with_a_killed_launch(executor, tmp_path):
    launch = subprocess.Popen([sys.executable, "-c", LAUNCH, str(tmp_path / "runs")])
    worker = written(tmp_path / "runs")
    # Ray's two agents run no calls and take a minute to notice; they are not waited for.
    family = {pid for pid in descendants(launch.pid) if "Agent" not in command_of(pid)}
    assert worker in family
    assert any("raylet" in command_of(pid) for pid in family)

    launch.send_signal(signal.SIGKILL)
    launch.wait()

    assert all(is_gone(pid) for pid in family)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def descendants(root: int) -> set[int]:
    """Its children, and theirs."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(entry.name)] = int(text.rsplit(")", 1)[1].split()[1])
    found: set[int] = set()
    grew = {root}
    while grew:
        grew = {pid for pid, parent in parents.items() if parent in grew}
        found |= grew
    return found
