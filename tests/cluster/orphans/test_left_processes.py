"""Only what surely belongs to an earlier launch of the same study on the same root is ended."""

import os
import subprocess
import sys

import psutil
import pytest

from cluster.machine.gpu_processes import GpuProcess
from cluster.orphans import left_processes
from cluster.orphans.launch_label import (
    GANG_VARIABLE,
    VARIABLE,
    LaunchLabel,
    current_label,
    labelled,
)
from cluster.orphans.left_processes import end_left_by_earlier_launches, end_left_by_gangs

LABEL = LaunchLabel(root=f"root-{os.getpid()}", study="ladder", launch="20260102T000000-2")


@pytest.fixture
def start():
    """Start a process that stays, with some variables; it is ended after the test."""
    started = []

    def start(label, gang=None, starts_child=False):
        variables = {**os.environ, **({VARIABLE: str(label)} if label else {})}
        if gang:
            variables[GANG_VARIABLE] = gang
        code = "import subprocess, time; print(0, flush=True);"
        if starts_child:
            code += "print(subprocess.Popen(['sleep', '600']).pid, flush=True);"
        process = subprocess.Popen(
            [sys.executable, "-c", code + "time.sleep(600)"], env=variables, stdout=subprocess.PIPE
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def of(**other):
    return LaunchLabel(**{**vars(LABEL), **other})


EARLIER = of(launch="20260101T000000-1")


def test_what_an_earlier_launch_left_is_ended_with_what_it_started(start):
    process = start(EARLIER, starts_child=True)
    child = int(process.stdout.readline())
    os.kill(process.pid, 19)  # it hangs, and hears no signal

    sweep = end_left_by_earlier_launches(LABEL)

    assert process.wait(10) is not None and not psutil.pid_exists(process.pid)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"
    assert len(sweep.ended) == 2 and not sweep.left
    assert f"(pid {process.pid})" in sweep.describe()


@pytest.mark.parametrize(
    "other",
    [
        LABEL,
        of(launch="20260103T000000-3"),
        of(study="c", launch="20260101T000000-1"),
        of(root="another", launch="20260101T000000-1"),
        None,
    ],
    ids=["this launch", "a later one", "another study", "another root", "no launch"],
)
def test_what_is_not_left_by_an_earlier_launch_of_this_study_stays(start, other):
    process = start(other)
    assert end_left_by_earlier_launches(LABEL) == left_processes.Sweep()
    assert process.poll() is None


def test_a_process_never_ends_itself_nor_those_that_it_descends_from(start):
    code = (
        "from cluster.orphans.left_processes import end_left_by_earlier_launches as end;"
        "from cluster.orphans.launch_label import LaunchLabel;"
        f"print(end(LaunchLabel.parse({str(LABEL)!r})).ended)"
    )
    variables = {**os.environ, VARIABLE: str(EARLIER)}
    shell = ["sh", "-c", '"$0" -c "$1"; echo end', sys.executable, code]
    done = subprocess.run(shell, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["()", "end"]


def test_ranks_of_gangs_of_this_launch_are_ended_once_these_are_over(start):
    over, running, later = (start(LABEL, gang=f"l-{number}") for number in (1, 2, 4))
    plain = start(LABEL)

    end_left_by_gangs(LABEL, "l-3", alive={"l-2"})

    assert over.wait(10) is not None and not psutil.pid_exists(over.pid)
    assert [process.poll() for process in (running, later, plain)] == [None] * 3


def test_what_still_holds_a_gpu_is_told_of(start, monkeypatch):
    process = start(EARLIER)
    holder = GpuProcess(gpu="GPU-1", pid=process.pid, name="python", memory_gb=61.2)
    monkeypatch.setattr(left_processes, "gpu_processes", lambda: [holder])

    sweep = end_left_by_earlier_launches(LABEL)

    assert not sweep.ended
    assert sweep.left == (f"python (pid {process.pid}) 61.2 GB",)
    assert "do not end" in sweep.describe()


def test_a_label_is_read_as_it_was_written_and_nothing_else_is_one():
    assert LaunchLabel.parse(str(LABEL)) is not None
    for text in ("", "a", "a|b", "||", "a||c"):
        assert LaunchLabel.parse(text) is None


def test_a_launch_has_its_label_while_it_runs_and_no_longer():
    assert current_label() is None
    with labelled(LABEL):
        assert current_label() == LABEL
    assert current_label() is None
