"""A look has a process of its own: what it does to that costs its answer alone."""

import contextlib
import json
import os
import time

import pytest

from cluster.executor import Surroundings
from cluster.fitness.looking import Answer, answer, answer_of, look_in_process

LOOKS = """
import os, signal, sys, time

def echo(asked):
    print("libraries print where they like")
    os.write(1, b"and so does C")
    return {"asked": asked["word"], "pid": os.getpid()}

def where(asked):
    return {"at": os.getcwd()}

def raises(asked):
    raise ValueError("no such thing")

def crashes(asked):
    os.kill(os.getpid(), signal.SIGBUS)

def exits(asked):
    sys.stderr.write("cannot open shared object\\n")
    os._exit(3)

def hangs(asked):
    if os.fork() == 0:
        time.sleep(600)
    open(asked["into"], "w").write(str(os.getpgid(0)))
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def looks(tmp_path, monkeypatch):
    (tmp_path / "planted_looks.py").write_text(LOOKS)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_look_answers_from_another_process_whatever_is_printed():
    seen = look_in_process("planted_looks:echo", {"word": "á"}, 20)
    assert seen.value["asked"] == "á"
    assert seen.value["pid"] != os.getpid()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("raises", "ValueError: no such thing"),
        ("crashes", "ended by SIGBUS"),
        ("exits", "ended with exit code 3: cannot open shared object"),
    ],
)
def test_a_look_that_fails_says_how(name, fault):
    assert look_in_process(f"planted_looks:{name}", {}, 20) == Answer(fault=fault)


def test_a_look_that_hangs_is_ended_with_all_it_started(tmp_path):
    seen = look_in_process("planted_looks:hangs", {"into": str(tmp_path / "group")}, 3)
    assert seen == Answer(fault="no answer within 3 s")
    group, until = int((tmp_path / "group").read_text()), time.monotonic() + 20
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < until:
            os.killpg(group, 0)
            _reap()


def _reap():
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_an_executor_s_call_carries_a_look():
    payload = json.dumps({"look": "planted_looks:echo", "asked": {"word": 1}, "limit_s": 20})
    assert answer_of(answer(payload, Surroundings())).value["asked"] == 1


def test_a_folder_that_is_replaced_under_a_process_costs_no_look(tmp_path, monkeypatch):
    gone = tmp_path / "replaced"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert look_in_process("planted_looks:where", {}, 20).value == {"at": "/"}
