"""The command of the GPU check: a process for each part, reasons, limits, what make runs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as command
from benchmarks.gpu.machine import look
from benchmarks.gpu.part import PARTS, find_part, in_order
from cluster.machine.process_stat import process_stat

ROOT = Path(__file__).parents[3]


def making(*words: str) -> str:
    """Return what make would run, for a user and not as part of the make that runs the tests."""
    own = {
        name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"
    }
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *words], cwd=ROOT, env=own, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_make_with_an_interpreter_of_your_own_installs_nothing() -> None:
    recipe = making("gpu-check", "GPU_PYTHON=python3.12", "PARTS=parity,moments")
    assert recipe.replace("\\", "").split() == [
        "python3.12",
        "-m",
        "benchmarks.gpu",
        "--parts",
        "parity,moments",
    ]


def test_the_steps_of_the_readme_for_a_gpu_machine_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("On a GPU machine")[1].split("\n## ")[0]
    (block,) = re.findall(r"```\n(.*?)```", section.split("`make study` ends")[0], re.S)
    for target in re.findall(r"make ([\w-]+)", block):
        assert making(target)
    (version,) = re.findall(r"torch==([\d.]+)", block)
    assert f"torch=={version}\n" in (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_installing_needs_no_cuda_toolkit() -> None:
    (line,) = re.findall(r"(?m)^(.*(?:\\\n.*)*-r locks/runtime\.txt)$", making("setup"))
    assert line.lstrip().startswith("DS_ACCELERATOR=cpu ")


def test_without_a_gpu_the_check_says_what_to_do_instead(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--one", "", "--rows", tmp_path / "x"], cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "torch sees no GPU" in done.stderr and "REHEARSE=1" in done.stderr


def test_a_part_that_takes_too_long_is_ended_and_keeps_what_it_had(tmp_path) -> None:
    rows = tmp_path / "stuck.jsonl"
    code = f"print('a', file=open({str(rows)!r}, 'w'), flush=True); import time; time.sleep(99)"
    code = code.replace("'a'", "'{\"what\": 1}'")
    found = command.run_apart([sys.executable, "-c", code], tmp_path / "stuck", 5.0)
    assert found["state"] == "failed" and "more than 5 s" in found["reason"]
    assert found["rows"] == [{"what": 1}]


def test_a_part_that_fails_says_its_last_line(tmp_path) -> None:
    code = "raise ValueError('no kernel image')"
    found = command.run_apart([sys.executable, "-c", code], tmp_path / "broken", 60.0)
    assert found["state"] == "failed" and "ValueError: no kernel image" in found["reason"]


_PART = """
import os, sys, threading, time
from benchmarks.gpu.__main__ import _end_with_input
threading.Thread(target=_end_with_input, daemon=True).start()
with open(sys.argv[1], "w") as rows:
    print('{"what": "one", "holds": null}', file=rows)
    rows.write('{"what": "ha')
with open(sys.argv[2], "w") as file:
    file.write(str(os.getpid()))
time.sleep(120)
"""
_WHOLE = """
import json, signal, sys
from pathlib import Path
from benchmarks.gpu import __main__ as command
from benchmarks.gpu.results import write_whole
folder = Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # as a terminal has it: CI may not
command._LOOK_EVERY_S = 0.2
command._look = lambda folder, *, rehearses: {machine!r}
command.save = lambda document, into: write_whole(
    into / "found.json", json.dumps(document))  # without the table, which imports every part
command._words = lambda name, rows, rehearses: [
    sys.executable, "-c", {part!r}, str(rows), str(folder / "pid")]
sys.argv = ["check", "--parts", "peaks,versions", "--into", str(folder)]
sys.exit(command.main())
"""
_MACHINE = {"gpu": "NVIDIA H200", "num_gpus": 1, "memory_gb": 150.8, "free_gb": 150.0,
            "driver": "580", "cuda": "13.0", "python": "3.12", "versions": {}}  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_check_that_is_ended_keeps_what_was_measured_and_leaves_no_part_on_the_gpu(
    tmp_path, how, request
) -> None:
    code = _WHOLE.format(machine=_MACHINE, part=_PART)
    check = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT)
    request.addfinalizer(check.wait)
    request.addfinalizer(check.kill)

    def until(is_so, seconds=60.0):
        limit = time.monotonic() + seconds
        while not (found := is_so()):
            assert time.monotonic() < limit
            time.sleep(0.05)
        return found

    def rows():
        found = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json")]
        return found and found[0]["parts"]["peaks"]["rows"]

    assert [row["what"] for row in until(rows)] == ["one"]
    part = int((tmp_path / "pid").read_text())
    check.send_signal(how)
    assert check.wait(60) == (-how if how is signal.SIGKILL else 130)
    until(lambda: (found := process_stat(part)) is None or found.has_ended)
    parts = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["parts"]
    assert list(parts) == ["peaks"] and parts["peaks"]["state"] == "unfinished"
    assert [row["what"] for row in parts["peaks"]["rows"]] == ["one"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            ModuleNotFoundError("No module named 'nobodys'", name="nobodys"),
            "not installed: nobodys",
        ),
        (ModuleNotFoundError("No module named 'jobs.gone'", name="jobs.gone"), None),
        (ImportError("cannot import name 'X' from 'torch'", name="torch"), None),
    ],
)
def test_a_part_that_cannot_be_imported_is_skipped_or_fails_alone(monkeypatch, fault, why) -> None:
    find = PARTS.find

    def find_others(name, **where):
        if name == "memory":
            raise fault
        return find(name, **where)

    monkeypatch.setattr(PARTS, "find", find_others)
    monkeypatch.setattr(PARTS, "names", lambda: ["memory", "peaks", "versions"])
    assert in_order()[-1] == "memory"
    part, machine = find_part("memory"), look(rehearses=True)
    assert part.why_not(machine) == why
    with pytest.raises(ImportError, match=re.escape(str(fault))):
        list(part.rows(machine))


@pytest.mark.slow
def test_on_a_machine_that_lacks_pydantic_the_other_parts_run(tmp_path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_WITHOUT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "--parts", "memory,peaks"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "skipped: not installed: pydantic" in done.stdout
    assert "products in bfloat16" in done.stdout and "Failed: nothing" in done.stdout


_WITHOUT = """
import importlib.util, sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pydantic":
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Without())
looked = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name.split(".")[0] == "pydantic" else looked(name, package))
"""


@pytest.mark.slow
def test_a_rehearsal_through_the_command_writes_nothing(tmp_path) -> None:
    chosen = Namespace(parts="peaks,moments", into=tmp_path, rehearse=True, limit=None, commit=None)
    assert command._check(chosen) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_trainer_is_importable_beside_a_gpu_without_the_cuda_toolkit() -> None:
    pretended = """
import torch
torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 1
torch.version.cuda = "13.0"
import deepspeed, trl
import jobs.training.alignment
from jobs.training.engine import ENGINES
assert [ENGINES.find(name) for name in ENGINES.names()]
"""
    environment = {name: text for name, text in os.environ.items() if "CUDA" not in name}
    done = subprocess.run(
        [sys.executable, "-c", pretended], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**environment, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("part", "visible", "shown"),
    [
        ("training", None, "0"),
        ("training", "3,1", "3"),
        ("training", "", ""),
        ("ranks", "3,1", "3,1"),
    ],
)
def test_a_part_for_one_gpu_sees_one_and_a_part_for_two_all(
    tmp_path, monkeypatch, part, visible, shown
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no driver's program
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    out = tmp_path / "seen"
    code = f"import os; open({str(out)!r}, 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])"
    monkeypatch.setattr(command, "_look", lambda folder, *, rehearses: {})
    monkeypatch.setattr(command, "new_document", lambda machine, commit: {"parts": {}})
    monkeypatch.setattr(command, "_words", lambda *given: [sys.executable, "-c", code])
    monkeypatch.setattr(command, "table", lambda document: [])
    chosen = Namespace(parts=part, into=tmp_path, rehearse=True, limit=60, commit=None)
    assert command._check(chosen) == 0
    assert out.read_text(encoding="utf-8") == shown
