"""Faults strike once among all processes of a root, where they were asked for, and tell of it."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cluster.chaos.drawing import read_plan
from cluster.chaos.injector import ChaosFolder, Injector
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.fault_points import fault_point
from cluster.storage import Storage
from jobs.worker.whose_fault import class_of

KEY = "ab" * 32


@pytest.fixture
def root(tmp_path):
    return Storage(tmp_path / "root")


def _injector(root, words, who="job", labels=("aligned", KEY), rank=(0, 1), seed=0):
    folder = ChaosFolder(root, "studies/s/chaos/x")
    folder.keep(read_plan(words, seed, [KEY], ["aligned", "delta"]))
    return Injector(
        folder=folder, who=who, labels=labels, rank=rank, place={"attempt": "a"}, say=lambda _: None
    )


def _has_struck(point="step", **where):
    try:
        fault_point(point, **where)
    except (OSError, RuntimeError):
        return True
    return False


def test_without_chaos_nothing_strikes(root) -> None:
    injector = _injector(root, "error@aligned")
    assert not _has_struck()
    with injector.armed():
        assert _has_struck()
    assert not _has_struck()


def test_a_fault_strikes_once_and_not_in_a_process_that_comes_later(root) -> None:
    with _injector(root, "error@aligned").armed():
        assert _has_struck() and not _has_struck()
    with _injector(root, "error@aligned").armed():
        assert not _has_struck()


def test_of_two_processes_at_once_one_is_struck(root) -> None:
    first, second = _injector(root, "error"), _injector(root, "error")
    with first.armed(), second.armed():  # both have seen that it is due
        assert _has_struck()
        struck = []
        with first.armed():
            struck.append(_has_struck())
    assert struck == [False]


@pytest.mark.parametrize(
    ("who", "labels"), [("job", ("delta", "cd" * 32)), ("launch", ()), ("launch", ("aligned",))]
)
def test_a_fault_of_a_job_strikes_no_other_and_not_the_launch(root, who, labels) -> None:
    with _injector(root, "error@aligned", who, labels).armed():
        assert not _has_struck()


def test_a_key_may_be_begun_only(root) -> None:
    with _injector(root, f"error@{KEY[:16]}").armed():
        assert _has_struck()


def test_a_step_is_counted_by_its_number_where_it_has_one(root) -> None:
    with _injector(root, "error@aligned:3").armed():
        assert not _has_struck(step=2)
        assert _has_struck(step=5), "a run that goes on from step 4 has passed it"


def test_a_step_without_a_number_is_counted(root) -> None:
    with _injector(root, "error@aligned:3").armed():
        assert [_has_struck() for _ in range(4)] == [False, False, True, False]


def test_a_job_without_steps_is_struck_at_its_end(root) -> None:
    with _injector(root, "error@aligned").armed():
        assert _has_struck("publish")


def test_of_several_ranks_one_is_struck(root) -> None:
    struck = []
    for rank in range(4):
        with _injector(root, "error", rank=(rank, 4), seed=11).armed():
            struck.append(_has_struck())
    assert sum(struck) == 1


@pytest.mark.parametrize(
    ("name", "fault_class"),
    [
        ("enospc", FaultClass.STORAGE_FULL),
        ("quota", FaultClass.STORAGE_FULL),
        ("eio", FaultClass.STORAGE_AWAY),
        ("storage-away", FaultClass.STORAGE_AWAY),
        ("read-only", FaultClass.STORAGE_READ_ONLY),
        ("permission", FaultClass.PERMISSION),
        ("too-many-files", FaultClass.STORAGE_AWAY),
    ],
)
def test_a_fault_of_the_disk_is_met_as_a_real_one_and_says_that_it_is_none(
    root, name, fault_class
) -> None:
    with _injector(root, f"{name}@study").armed():
        root.write("artifacts/a", b"1")
        with pytest.raises(SurroundingsError) as met:
            root.write("studies/s/index.json", b"1")
        root.write("studies/s/index.json", b"2")
    assert met.value.fault_class is fault_class
    assert f"injected by --chaos: {name}@study" in met.value.error
    assert root.read("studies/s/index.json") == b"2"


def test_a_fault_that_lasts_goes_on_for_reads_and_writes_until_it_is_over(root) -> None:
    root.write("studies/s/a", b"1")
    with _injector(root, "storage-away=0.3@study").armed():
        for act in (lambda: root.write("studies/s/b", b""), lambda: root.read("studies/s/a")):
            with pytest.raises(SurroundingsError):
                act()
        threading.Event().wait(0.35)
        assert root.read("studies/s/a") == b"1"


def test_a_fault_that_cannot_be_counted_is_not_injected(root, monkeypatch) -> None:
    injector = _injector(root, "error,error@aligned:2")
    with injector.armed():
        monkeypatch.setattr(
            Storage, "create", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EROFS, "ro"))
        )
        assert not _has_struck()


def test_what_was_injected_can_be_read_afterwards(root) -> None:
    injector = _injector(root, "error@aligned:3")
    with injector.armed():
        _has_struck(step=3)
    assert injector.folder.numbers() == {1}
    injected = injector.folder.injected(1)
    assert injected.fault == "error@aligned:3"
    assert injected.place["step"] == 3 and injected.place["attempt"] == "a"


def test_a_damaged_plan_arms_nobody(root) -> None:
    injector = _injector(root, "error")
    for damaged in (b"{", b"3", b"[3]", b'[{"name": "error"}]', b'[{"name": "x", "labels": []}]'):
        root.write("studies/s/chaos/x/plan.json", damaged)
        with injector.armed():
            assert not _has_struck()
        with pytest.raises(SurroundingsError, match="is damaged"):
            injector.folder.plan()


def test_damaged_words_on_what_was_injected_are_passed_over(root) -> None:
    injector = _injector(root, "error")
    root.write("studies/s/chaos/x/injected/0001.json", b"{")
    root.write("studies/s/chaos/x/injected/notes.json", b"{}")
    assert injector.folder.numbers() == {1}
    assert injector.folder.injected(1) is None


def test_a_byte_of_a_file_that_was_written_is_changed(root) -> None:
    with _injector(root, "corrupt@artifact").armed():
        root.write("artifacts/a/b/attempts/c/x", b"abc")
        root.write("artifacts/a/b/attempts/c/y", b"abc")
    damaged = root.read("artifacts/a/b/attempts/c/x")
    assert len(damaged) == 3 and sum(a != b for a, b in zip(damaged, b"abc", strict=True)) == 1
    assert root.read("artifacts/a/b/attempts/c/y") == b"abc"


def test_the_clock_is_set_and_set_right_again(root) -> None:
    before = time.time()
    with _injector(root, "clock=5000@round", who="launch").armed():
        fault_point("round")
        assert abs(abs(time.time() - before) - 5000) < 1000
    assert abs(time.time() - before) < 1000


def test_a_run_is_spoiled_by_what_the_point_offers(root) -> None:
    spoiled = []
    with _injector(root, "diverge@aligned:2").armed():
        for step in (1, 2, 3):
            fault_point("step", step=step, spoil=lambda step=step: spoiled.append(step))
    assert spoiled == [2]


@pytest.mark.parametrize(
    ("name", "fault_class"),
    [
        ("hub-busy", FaultClass.NETWORK),
        ("network", FaultClass.NETWORK),
        ("port", FaultClass.PORT),
        ("oom", FaultClass.OUT_OF_MEMORY),
        ("error", FaultClass.PROGRAM),
    ],
)
def test_an_error_is_classed_as_a_real_one(root, name, fault_class) -> None:
    with _injector(root, name).armed(), pytest.raises(Exception) as met:  # noqa: B017, PT011
        for point in ("attempt", "step"):
            fault_point(point)
    assert class_of(met.value) is fault_class
    assert f"injected by --chaos: {name}" in str(met.value)


CHILD = """
import sys
from cluster.chaos.injector import ChaosFolder, Injector
from cluster.fault_points import fault_point
from cluster.storage import Storage
folder = ChaosFolder(Storage(sys.argv[1]), "studies/s/chaos/x")
with Injector(folder=folder, who="job").armed():
    fault_point("step")
    print("went on", flush=True)
"""


@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        ("kill-rank", -signal.SIGKILL, ""),
        ("stop-rank=0.2", 0, "went on"),
        ("spin=0.2", 0, "went on"),
    ],
)
def test_a_process_is_killed_or_stopped_and_goes_on(root, words, code, out) -> None:
    _injector(root, words)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, root.url],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )
    assert child.returncode == code
    assert child.stdout.strip() == out
    assert "chaos: injected" in child.stderr
    assert json.loads(root.read("studies/s/chaos/x/injected/0001.json"))["fault"] == words
