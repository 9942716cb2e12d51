"""A worker that is killed: the keeper of its log says what it saw."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from cluster.machine import kernel_log, oom_kills
from jobs.worker.last_witness import Witness, witness_name

WORKER = """
import sys, time
from pathlib import Path
from jobs.worker.logs import captured
with captured(Path(sys.argv[1]), whole_process=True):
    print("at work", flush=True)
    sys.__stderr__.write("")
    Path(sys.argv[2]).touch()
    time.sleep(float(sys.argv[3]))
"""


def start(tmp_path, seconds):
    log, ready = tmp_path / "log.txt", tmp_path / "ready"
    words = [sys.executable, "-c", WORKER, str(log), str(ready), str(seconds)]
    worker = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    until = time.monotonic() + 60
    while not ready.exists():
        assert time.monotonic() < until and worker.poll() is None
        time.sleep(0.02)
    return worker, log


def awaited(file):
    until = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < until, "nobody said anything"
        time.sleep(0.02)
    return json.loads(file.read_text())


def test_the_keeper_says_what_it_saw_of_a_killed_worker(tmp_path):
    worker, log = start(tmp_path, 60)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    seen = awaited(tmp_path / "witnesses" / "log.json")
    assert seen["pid"] == worker.pid
    assert 0 < seen["memory"]["host_used_gb"] < seen["memory"]["host_gb"]
    assert all(count == 0 for count in seen["oom_kills"].values())
    assert "at work" in log.read_text()


OF_REMOTE = """
import os, sys, time
from pathlib import Path
from jobs.worker.logs import captured
from jobs.worker.sent_witness import to_root
with captured(Path(sys.argv[1]), whole_process=True, way=to_root(sys.argv[3], "attempts/a")):
    print("at work", flush=True)
    Path(sys.argv[2]).touch()
    time.sleep(60)
"""


def test_what_was_seen_and_the_log_get_to_another_root_though_the_folder_goes(tmp_path):
    scratch, ready, root = tmp_path / "scratch", tmp_path / "ready", tmp_path / "root"
    scratch.mkdir()
    words = [sys.executable, "-c", OF_REMOTE, str(scratch / "log.txt"), str(ready), str(root)]
    worker = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    until = time.monotonic() + 60
    while not ready.exists():
        assert time.monotonic() < until and worker.poll() is None
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    awaited(scratch / "witnesses" / "log.json")
    shutil.rmtree(scratch)  # a sweep takes what a dead process left
    assert awaited(root / "attempts/a/witnesses/log.json")["pid"] == worker.pid
    until = time.monotonic() + 30
    while not (root / "attempts/a/log.txt").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert "at work" in (root / "attempts/a/log.txt").read_text()


def test_of_an_attempt_that_ends_well_nobody_testifies(tmp_path):
    worker, _ = start(tmp_path, 0.0)
    assert worker.wait() == 0
    assert not (tmp_path / "witnesses").exists()


def test_the_testimony_of_a_rank_lies_beside_its_log():
    assert witness_name("a/b/log-rank-3.txt") == "a/b/witnesses/log-rank-3.json"


def test_kills_between_two_looks_are_counted(tmp_path, monkeypatch):
    counts = iter([{"host": 5}, {"host": 6}])
    monkeypatch.setattr("jobs.worker.last_witness.oom_kills", lambda: next(counts))
    witness = Witness(os.getppid())
    witness.begin(str(tmp_path / "log.txt"))
    monkeypatch.setattr("os.getppid", lambda: 1)
    witness.look()
    assert json.loads((tmp_path / "witnesses/log.json").read_text())["oom_kills"] == {"host": 1}
    assert not witness.is_watching


GROUP_2 = "31 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        ({"proc/vmstat": "nr_free_pages 1\noom_kill 3\n"}, {"host": 3}),
        (
            {
                "proc/vmstat": "oom_kill 3\n",
                "proc/self/mountinfo": GROUP_2,
                "proc/self/cgroup": "0::/job\n",
                "sys/fs/cgroup/job/memory.events": "low 0\noom 2\noom_kill 1\noom_group_kill 0\n",
            },
            {"host": 3, "group": 1},
        ),
        (
            {
                "proc/self/mountinfo": "31 24 0:27 / /cg rw - cgroup cgroup rw,memory\n",
                "proc/self/cgroup": "4:memory:/job\n",
                "cg/job/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n",
            },
            {"group": 7},
        ),
        ({}, {}),
    ],
    ids=["host", "version 2", "version 1", "neither"],
)
def test_counts_of_the_kernels_killer_are_read(tmp_path, files, counts):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert oom_kills.oom_kills(tmp_path) == counts


def test_of_the_kernels_log_only_what_is_about_the_process_is_kept(tmp_path):
    now = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
    texts = [
        (0, "Out of memory: Killed process 77 (python)"),
        (now, "Out of memory: Killed process 77 (python) total-vm:1kB"),
        (now, "Out of memory: Killed process 78 (python) total-vm:1kB"),
        (now, "NVRM: Xid (PCI:0000:17:00): 79, pid='<unknown>', GPU has fallen off the bus."),
        (now, "NVRM: Xid (PCI:0000:17:00): 31, pid=78, name=python"),
        (now, "usb 1-1: new device"),
    ]
    # A record of the kernel's log is one read; a file in its place is read to its end at once.
    for number, (at, text) in enumerate(texts):
        file = tmp_path / f"{number}"
        file.write_text(f"6,{number},{at},-;{text}\n")
    kept = [
        line
        for number in range(len(texts))
        for line in kernel_log.kernel_lines(77, tmp_path / f"{number}")
    ]
    assert kept == [texts[1][1], texts[3][1]]


def test_a_kernels_log_that_may_not_be_read_says_nothing(tmp_path):
    assert kernel_log.kernel_lines(77, tmp_path / "none") == []
