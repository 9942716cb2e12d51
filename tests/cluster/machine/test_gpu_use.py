"""How busy GPUs are: from the driver's program, which may say nothing, or never end."""

import threading
import time

import pytest

from cluster.machine import gpu_use
from cluster.machine.gpu_use import GpuUse, parse_use
from tests.cluster.machine.test_visible_gpus import put_program

TWO = ("GPU-b1", "GPU-a1")


@pytest.mark.parametrize(
    ("said", "use"),
    [
        ("93\n", 0.93),
        ("0\n", 0.0),
        ("100\n40\n", 0.7),
        ("[N/A]\n", None),
        ("[Not Supported]\n50\n", None),
        ("50\n[N/A]\n", None),
        ("250\n", None),
        ("-3\n", None),
        ("No devices were found\n", None),
        ("", None),
    ],
)
def test_percents_are_a_share_and_what_is_none_is_not_known(said, use):
    assert parse_use(said, max(1, len(said.splitlines()))) == use


def test_an_answer_of_too_few_gpus_is_none():
    assert parse_use("93\n", 2) is None


def seen(use, uuids=TWO):
    """Look until the program that was started has ended and was read."""
    until = time.monotonic() + 10
    use.look(uuids)
    while use._asked is not None and time.monotonic() < until:
        threading.Event().wait(0.01)
        use.look(uuids)
    return use.look(uuids)


def put(tmp_path, monkeypatch, text):
    lines = f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\n{text}\n'
    put_program(tmp_path, monkeypatch, lines, None)


def asked(tmp_path):
    return (tmp_path / "asked").read_text().splitlines()


def test_the_mean_of_its_gpus_is_asked_once_in_ten_seconds(tmp_path, monkeypatch):
    put(tmp_path, monkeypatch, "echo 90; echo 40")
    now = [100.0]
    monkeypatch.setattr(gpu_use.time, "monotonic", lambda: now[0])
    use = GpuUse()
    assert use.look(TWO) is None  # it was only started
    use._asked.wait(10)
    assert use.look(TWO) == 0.65
    now[0] += gpu_use.EVERY_S - 0.5
    assert use.look(TWO) == 0.65 and use._asked is None
    now[0] += 1
    assert use.look(TWO) == 0.65  # the last one stands until the next is known
    use._asked.wait(10)
    use.look(TWO)
    assert asked(tmp_path) == ["--id=GPU-a1,GPU-b1"] * 2


@pytest.mark.parametrize(
    "text", ["echo '[N/A]'; echo 12", "echo garbage", "echo 9; exit 9", "true"]
)
def test_what_says_nothing_is_not_asked_again_soon(tmp_path, monkeypatch, text):
    put(tmp_path, monkeypatch, text)
    use = GpuUse()
    assert seen(use) is None
    now = time.monotonic()
    monkeypatch.setattr(gpu_use.time, "monotonic", lambda: now + 3 * gpu_use.EVERY_S)
    assert seen(use) is None and len(asked(tmp_path)) == 1


def test_a_machine_without_the_program_is_no_fault(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert seen(GpuUse()) is None


def test_without_gpus_nobody_is_asked(tmp_path, monkeypatch):
    put(tmp_path, monkeypatch, "echo 90")
    assert seen(GpuUse(), ()) is None and not (tmp_path / "asked").exists()


def test_one_that_hangs_holds_nobody_up_and_is_killed_late(tmp_path, monkeypatch):
    put(tmp_path, monkeypatch, "exec sleep 600")
    now = [100.0]
    monkeypatch.setattr(gpu_use.time, "monotonic", lambda: now[0])
    use = GpuUse()
    use.look(TWO)
    hanging = use._asked
    assert use.look(TWO) is None and hanging.poll() is None and use._asked is hanging
    now[0] += 10 * gpu_use.EVERY_S
    assert use.look(TWO) is None
    assert hanging.wait(10) < 0
    now[0] += gpu_use.EVERY_S
    assert use.look(TWO) is None and use._asked is None  # read, and not asked again soon


def test_what_its_child_holds_open_is_not_waited_for(tmp_path, monkeypatch):
    put(tmp_path, monkeypatch, "echo 90; echo 70; sleep 2 &")
    assert seen(GpuUse()) == 0.8


def test_the_use_of_other_gpus_is_forgotten(tmp_path, monkeypatch):
    put(tmp_path, monkeypatch, "echo 90")
    use = GpuUse()
    assert seen(use, ("GPU-a1",)) == 0.9
    assert use.look(("GPU-b1",)) is None
