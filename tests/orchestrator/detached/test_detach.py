"""`launch --detach` on this machine, from its beginning to what the root says of it afterwards."""

import argparse
import errno
import json
import os
import subprocess
import sys
import time

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.locks.holder import Holder
from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.detached.detach import require_not_running
from orchestrator.detached.following import follow_detached, follow_log, keep_back
from orchestrator.detached.handover import Handover
from orchestrator.detached.ray_job import command_of, job_name, local_files
from orchestrator.detached.running import run_detached, run_submission
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.notices.chosen_ways import read_way
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.profiles.kind import Place
from orchestrator.records.detached import (
    ending_of,
    latest_detached,
    mark_begun,
    mark_ended,
    runner_of,
    write_detached,
)
from orchestrator.records.lock import study_lock
from orchestrator.study.study import load_study

STUDY = """\
study: two
axes: {index: [1, 2]}
stages:
  probes: {kind: probe, over: index, params: {index: "${index}"}}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    path = tmp_path / "two.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def root(tmp_path):
    return Storage(tmp_path / "root")


def handed_over(root, way="ray", **other):
    launch = {
        "id": "20260101T000000-abc",
        "at": time.time(),
        "profile": way,
        "file": "two.yaml",
        "folder": "/lab",
        "entries": {},
        "way": way,
        "job": job_name("two", "20260101T000000-abc") if way == "ray" else "",
        "address": "10.0.0.1:6379" if way == "ray" else None,
        **other,
    }
    write_detached(root, "two", launch)
    return launch


def line(root):
    return follow_detached(root, "two")["line"]


def test_a_launch_goes_on_by_itself_and_the_root_tells_all_of_it(study, root, capsys):
    words = ["launch", str(study), "--detach", "--executor", "local", "--root", root.url, "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["state"] == "detached"
    assert (said["way"], said["job"], said["address"]) == ("local", None, None)
    study.write_text("no study any more")
    text = "".join(follow_log(root, "two", said["submission"]))
    assert "two: complete; 2 ran" in text
    assert ending_of(root, "two", said["submission"])["code"] == 0
    assert main(["logs", "two", "--root", root.url]) == 0
    assert capsys.readouterr().out == text
    assert main(["status", "two", "--root", root.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"]["done"] == 2


def test_what_a_launch_printed_is_shown_without_secrets(study, root, capsys):
    words = ["launch", str(study), "--detach", "--executor", "local", "--root", root.url, "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    "".join(follow_log(root, "two", said["submission"]))
    with root.path(said["log"]).open("a") as log:
        log.write("Authorization: Bearer abcdefgh12345678\n\x1b[2Jno newline")
    assert main(["logs", "two", "--root", root.url]) == 0
    shown = capsys.readouterr().out
    followed = "".join(follow_log(root, "two", said["submission"]))
    assert "abcdefgh12345678" not in shown + followed
    assert shown == followed.replace("\x1b", "?") and shown.endswith("no newline")


def test_nothing_is_begun_where_nothing_is_to_run(study, root, capsys):
    words = ["launch", str(study), "--executor", "local", "--root", root.url]
    assert main(words) == 0
    assert main([*words, "--detach"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert latest_detached(root, "two") is None


def test_what_the_process_refuses_is_written_down(study, root, monkeypatch):
    monkeypatch.setenv("DELTASCALE_PATIENCE", "for ever")  # read where the launch runs
    words = ["launch", str(study), "--detach", "--executor", "local", "--root", root.url, "--json"]
    assert main(words) == 0
    launch = latest_detached(root, "two")
    assert "no length of time" in "".join(follow_log(root, "two", launch["id"]))
    assert ending_of(root, "two", launch["id"])["code"] == 2


def test_what_was_told_as_refused_does_not_begin_later(study, root, monkeypatch):
    def take_too_long(handover, launch, to_run):
        raise SurroundingsError("the detached process has not begun")

    monkeypatch.setattr("orchestrator.detached.local_process.begin", take_too_long)
    words = ["launch", str(study), "--detach", "--executor", "local", "--root", root.url, "--json"]
    assert main(words) == 3
    (identifier,) = root.list("studies/two/detached")
    assert latest_detached(root, "two") is None
    assert run_detached(root, "two", identifier, lambda: 0) == 130


def test_every_state_has_its_sentence(root):
    launch = handed_over(root)
    assert "has not begun as far as is known" in line(root)
    assert launch["job"] in line(root)
    assert follow_detached(root, "two")["is_queued"]
    mark_begun(root, "two", launch["id"])
    assert f"process {os.getpid()} on" in line(root)
    mark_ended(root, "two", launch["id"], 1)
    assert "ended with code 1: with failed jobs" in line(root)
    assert not follow_detached(root, "two")["is_queued"]


def test_one_that_was_killed_is_told_from_one_that_runs(root):
    launch = handed_over(root, "local")
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from cluster.storage import Storage; "
            "from orchestrator.records.detached import mark_begun; "
            "mark_begun(Storage(sys.argv[1]), 'two', sys.argv[2])",
            root.url,
            launch["id"],
        ],
        check=True,
    )
    assert ended.returncode == 0
    assert runner_of(root, "two", launch["id"]).is_dead
    assert "ended without a word" in line(root)
    require_not_running(root, "two")


def test_a_study_that_runs_is_not_begun_again_and_the_job_is_named(root):
    launch = handed_over(root)
    require_not_running(root, "two")  # its Ray is asked, not the root
    mark_begun(root, "two", launch["id"])
    with pytest.raises(SurroundingsError, match=launch["job"]):
        require_not_running(root, "two")
    mark_ended(root, "two", launch["id"], 0)
    require_not_running(root, "two")
    with study_lock(root, "two", "another"), pytest.raises(SurroundingsError, match="another"):
        require_not_running(root, "two")


def test_one_that_was_cancelled_before_it_began_runs_nothing(root):
    launch = handed_over(root)
    assert keep_back(root, "two")
    assert not keep_back(root, "two")
    assert "stopped before it began" in line(root)
    assert run_detached(root, "two", launch["id"], lambda: pytest.fail("it ran")) == 130
    assert ending_of(root, "two", launch["id"])["code"] == 130


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UserError("x"), 2),
        (SurroundingsError("x"), 3),
        (KeyboardInterrupt(), 130),
        (RuntimeError("x"), 70),
    ],
)
def test_an_end_by_a_fault_is_written_down(root, fault, code):
    launch = handed_over(root)

    def run():
        raise fault

    with pytest.raises(type(fault)):
        run_detached(root, "two", launch["id"], run)
    assert ending_of(root, "two", launch["id"])["code"] == code


def test_damage_is_told_and_hides_nothing_else(root):
    handed_over(root)
    root.write("studies/two/detached/20260101T000000-abc/launch.json", b"{")
    with pytest.raises(SurroundingsError, match="damaged"):
        follow_detached(root, "two")
    root.write("studies/two/detached/20260101T000000-abc/begun.json", b"[]")
    assert runner_of(root, "two", "20260101T000000-abc") is None


def handover_of(study, root, **options):
    words = {"only": [], "takeover": False, "budget": [], "patience": None, **options}
    return Handover(
        root=root,
        study=load_study(study),
        options=argparse.Namespace(**words),
        place=Place(address="10.0.0.1:6379"),
        fresh=False,
        profile=None,
        ways=[read_way("webhook:env:LAB_HOOK")],
    )


def test_the_command_of_a_job_is_one_that_a_shell_cannot_misread(study, root, monkeypatch):
    monkeypatch.setenv("LAB_HOOK", "https://hooks.example.org/services/not-for-others")
    handover = handover_of(study, root, only=["probes:index=1; touch /tmp/x"], patience="2h")
    command = command_of(handover, "20260101T000000-abc")
    assert "'probes:index=1; touch /tmp/x'" in command
    assert "not-for-others" not in command
    assert "--notify webhook:env:LAB_HOOK" in command
    start = command[command.index("P=") :].rsplit(" >>", 1)[0]
    probe = start.replace('exec "$P"', "exec echo")
    shown = subprocess.run(
        ["sh", "-c", probe],
        env={"RAY_ADDRESS": "10.0.0.1:6379", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown.startswith("-m orchestrator.cli launch two --submission 20260101T000000-abc")
    assert shown.rstrip().endswith("--address 10.0.0.1:6379")


def test_files_beside_the_root_are_named_and_those_under_it_are_not(tmp_path, root):
    (root.make_folder("data") / "texts.txt").write_text("the cat sat on the mat\n")
    (tmp_path / "texts.txt").write_text("the cat sat on the mat\n")
    for source, named in (
        ("texts.txt", [str(tmp_path / "texts.txt")]),
        ("root/data/texts.txt", []),
    ):
        path = tmp_path / "texts.yaml"
        path.write_text(
            "study: texts\nstages:\n  texts: {kind: prompts, params: {format: text, "
            f"source: {source}, options: {{min_words: 2, prompt_words: 2, held_out: 0}}}}}}\n"
        )
        handover = handover_of(path, root)
        assert local_files(handover, decide_plan(root, handover.study).to_run) == named


def test_a_holder_is_alive_where_that_is_certain():
    assert Holder.this_process("x").is_alive
    assert not Holder(pid=os.getpid(), host="x", launch="x", since=0.0).is_alive


def test_a_launch_that_was_handed_over_waits_for_its_storage_from_the_first_look(
    root, monkeypatch, capsys
):
    monkeypatch.setattr(Patience, "pause_s", lambda *asked: 0.01)
    faults = [OSError(errno.ESTALE, "Stale file handle") for _ in range(2)]

    def open_root():
        if faults:
            raise faults.pop()
        return root

    options = argparse.Namespace(study="two", submission="20260101T000000-abc", on=None)
    assert run_submission(options, open_root, lambda: 0) == 0
    assert not faults and "waiting for the storage" in capsys.readouterr().err
