"""People are told of real launches: how they ended, why, and nothing that they must not know."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.notices.digest import GpuHours, digest, gpu_hours
from orchestrator.records.events import Ended, LaunchStarted, LaunchState, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.ledger import Ledger
from tests.orchestrator.notices.conftest import PATH

STUDY = """\
study: two
axes: {index: [1, 2, 3]}
stages:
  probes: {kind: probe, over: index, params: {index: "${index}", fail: FAIL, seconds: SECONDS}}
"""
TOP = Path(__file__).parents[3]


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    path = tmp_path / "two.yaml"
    path.write_text(STUDY.replace("FAIL", "false").replace("SECONDS", "0"))
    return path


def words(study, *more):
    root = str(study.parent / "root")
    return ["launch", str(study), "--executor", "local", "--root", root, *more]


def configure(tmp_path, text):
    file = tmp_path / "config" / "deltascale" / "config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def test_the_end_is_told_with_each_cause_once_and_nothing_where_nothing_ran(study, hook):
    study.write_text(STUDY.replace("FAIL", "true").replace("SECONDS", "0"))
    assert main(words(study, "--notify", "webhook:env:LAB_HOOK")) == 1
    (text,) = hook.texts
    assert text.startswith("two: ended, not all of it done\n0 ran, 0 reused, 3 failed")
    assert text.count("this probe was told to fail") == 1
    assert "and 2 more" in text
    study.write_text(STUDY.replace("FAIL", "false").replace("SECONDS", "0"))
    assert main(words(study, "--notify", "webhook:env:LAB_HOOK")) == 0
    assert main(words(study, "--notify", "webhook:env:LAB_HOOK")) == 0
    assert [line.splitlines()[0] for line in hook.texts[1:]] == ["two: complete"]


def test_the_configuration_says_it_for_all_launches_and_none_takes_it_back(study, hook, tmp_path):
    configure(tmp_path, "notify: ['webhook:env:LAB_HOOK']\n")
    assert main(words(study, "--only", "probes:index=1", "--notify", "none")) == 0
    assert hook.texts == []
    assert main(words(study)) == 0
    assert len(hook.texts) == 1


def test_a_webhook_that_is_away_costs_the_launch_nothing(study, hook, capsys):
    hook.answers = ["404"]
    assert main(words(study, "--notify", "webhook:env:LAB_HOOK")) == 0
    assert "was not sent: the webhook answers 404" in capsys.readouterr().err


def test_what_is_not_there_is_refused_before_anything_runs(study, capsys, monkeypatch):
    monkeypatch.delenv("LAB_HOOK", raising=False)
    assert main(words(study, "--notify", "webhook:env:LAB_HOOK", "--json")) == 2
    assert "LAB_HOOK" in json.loads(capsys.readouterr().out)["error"]
    assert not (study.parent / "root" / "studies").exists()


def test_a_profile_of_somebody_else_sends_nothing_unasked(study, hook, tmp_path, capsys):
    folder = study.parent / "profiles"
    folder.mkdir()
    (folder / "box.yaml").write_text(
        "kind: local\nexecutor: local\nnotify: ['webhook:env:LAB_HOOK', 'command:/bin/true']\n"
    )
    root = ["--root", str(tmp_path / "root"), "--json"]
    assert main(["launch", str(study), "--on", "box", *root]) == 2
    fault = capsys.readouterr().out
    assert "posts messages to the address in LAB_HOOK" in fault
    assert "runs /bin/true" in fault
    assert main(["notify", "--on", str(folder / "box.yaml"), *root]) == 2
    assert hook.texts == []


def test_no_file_and_no_word_of_a_launch_holds_the_address(study, hook, tmp_path):
    assert main(words(study, "--detach", "--notify", "webhook:env:LAB_HOOK")) == 0
    assert hook.wait_for(1)[0].startswith("two: complete")
    assert hook.paths == [PATH]
    for file in (tmp_path / "root").rglob("*"):
        assert not file.is_file() or b"not-for-others" not in file.read_bytes(), file


def test_notify_tries_every_way_and_says_what_became_of_it(study, hook, tmp_path, capsys):
    assert main(["notify", "--json"]) == 2
    capsys.readouterr()
    configure(tmp_path, "notify: ['webhook:env:LAB_HOOK']\n")
    way = "command:/bin/false"
    assert main(["notify", "--notify", way, "--json"]) == 3
    first, second = json.loads(capsys.readouterr().out)["ways"]
    assert first == {"way": "webhook:env:LAB_HOOK", "fault": None}
    assert "code 1" in second["fault"]
    assert main(words(study)) == 0
    assert main(["notify", str(study), "--root", str(tmp_path / "root")]) == 0
    assert hook.texts[-1] == "two: complete\n3 done"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_is_told_also_where_a_signal_ends_the_launch(study, hook, number):
    study.write_text(STUDY.replace("FAIL", "false").replace("SECONDS", "600"))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "orchestrator.cli",
            *words(study),
            "--notify",
            "webhook:env:LAB_HOOK",
        ],
        env={**os.environ, "PYTHONPATH": str(TOP)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    progress = study.parent / "root" / "studies" / "two" / "ledger"
    while not any('"submitted"' in file.read_text() for file in progress.rglob("*.jsonl")):
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert hook.texts[-1].startswith("two: interrupted; the same command goes on")


def test_a_launch_that_was_killed_is_told_of_by_the_next(study, hook, tmp_path):
    ledger = Ledger(Storage(tmp_path / "root"), "two", "20260101T000000-abc")
    ledger.append(
        LaunchStarted(
            at=1.0, launch="20260101T000000-abc", host="n7", pid=12, executor="local", fresh=False
        )
    )
    ledger.close()
    assert main(words(study, "--notify", "webhook:env:LAB_HOOK")) == 0
    assert hook.texts[0].startswith("two: the launch before was killed")
    assert hook.texts[1].startswith("two: complete")


def test_gpu_hours_are_used_wasted_and_reused():
    def attempt(key, name, gpus, held, result):
        return [
            Submitted(at=1.0, key=key, attempt=name, num_gpus=gpus),
            Ended(at=2.0, key=key, attempt=name, result=result, seconds=1.0, held=held),
        ]

    events = [
        *attempt("a", "old-1", 2, 3600.0, Result.DONE),
        *attempt("b", "old-2", 2, 3600.0, Result.ERROR),
        *attempt("c", "new-1", 4, 1800.0, Result.ERROR),
        *attempt("c", "new-2", 4, 3600.0, Result.DONE),
    ]
    hours = gpu_hours(events, "new", {"a", "b"})
    assert (hours.used, hours.wasted, hours.reused) == (6.0, 2.0, 2.0)


def test_a_digest_holds_causes_remedies_and_the_head_of_the_table(make_report):
    failed = {f"k{number}": "it broke\n  hint:    mend it" for number in range(1000)}
    failed["other"] = "row 7: 'some words of a row' is wrong"
    notice = digest(
        "two",
        make_report(failed),
        labels={"k0": "align[index=0]"},
        waited={"network": 3700.0},
        hours=GpuHours(used=6, wasted=2, reused=1),
        table="\n".join(f"row {number}" for number in range(100)),
    )
    text = str(notice)
    assert "align[index=0] and 999 more: it broke; mend it" in text
    assert "row 7: '…' is wrong" in text
    assert "waited for: network 1 h 01 min" in text
    assert "6.00 used, of them 2.00" in text
    assert "row 13" in text and "row 14" not in text
    assert len(text) < 2000


@pytest.fixture
def make_report():
    from orchestrator.dispatch.execution import LaunchReport

    def make(failed):
        return LaunchReport(
            state=LaunchState.FAILED,
            ran=[],
            reused=[],
            failed=failed,
            blocked={},
            cancelled=[],
            waiting=[],
            waited_for=None,
            num_attempts=3,
            seconds=12.0,
        )

    return make
