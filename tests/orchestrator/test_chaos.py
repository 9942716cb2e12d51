"""A launch that injects faults says so, survives them, and meets each once."""

import json
from contextlib import nullcontext

import pytest

from cluster.errors import UserError
from cluster.executors.local import Executor
from cluster.storage import Storage
from orchestrator.chaos import ChaosRequest, describe_faults
from orchestrator.cli import main
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.records.events import Ended, LaunchStarted, Submitted
from orchestrator.records.injected import Injected
from orchestrator.records.ledger import read_events
from orchestrator.study.study import load_study

STUDY = """
study: s
axes: {n: [1, 2, 3]}
stages:
  one: {kind: probe, over: [n], params: {index: "${n}"}}
"""


class _Lines(Watcher):
    def __init__(self):
        self.lines = []

    def note_line(self, text):
        self.lines.append(text)


@pytest.fixture
def launched(tmp_path):
    root, path = Storage(tmp_path / "root"), tmp_path / "s.yaml"
    path.write_text(STUDY)

    def act(words, seed=0, text=None):
        if text is not None:
            path.write_text(text)
        watcher, notes = _Lines(), []
        done = launch(
            root,
            load_study(path),
            executor=Executor(),
            executor_name="local",
            progress=lambda: nullcontext(watcher),
            chaos=ChaosRequest(words=words, seed=seed) if words else None,
            patience=Patience(first_pause_s=0.05),
            warn=notes.append,
        )
        return done, [*notes, *watcher.lines], list(read_events(root, "s"))

    return act


def test_a_launch_tells_the_screen_and_the_ledger_what_it_injects(launched) -> None:
    done, lines, events = launched("error@one,enospc@record")
    assert done.exit_code == 0
    assert any("2 of 2 faults are still to be injected, on purpose" in line for line in lines)
    assert any("chaos: injected error@one into one[n=" in line for line in lines)
    (started,) = [event for event in events if isinstance(event, LaunchStarted)]
    assert started.chaos == "error@one,enospc@record (seed 0)"
    injected = [event for event in events if isinstance(event, Injected)]
    assert {event.fault for event in injected} == {"error@one", "enospc@record"}
    failed = [event for event in events if isinstance(event, Ended) and event.message]
    assert {event.attempt for event in failed} == {event.attempt for event in injected}
    assert all("injected by --chaos" in event.message for event in failed)


def test_status_says_that_faults_were_injected(launched, tmp_path, capsys) -> None:
    launched("error@one")
    capsys.readouterr()
    assert main(["status", "s", "--json", "--root", str(tmp_path / "root")]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["chaos"] == {"faults": "error@one (seed 0)", "injected": 1}


def test_the_same_command_meets_no_fault_twice(launched) -> None:
    launched("error@one")
    done, lines, _ = launched("error@one", text=STUDY.replace("[1, 2, 3]", "[4, 5]"))
    assert done.exit_code == 0
    assert any("0 of 1 faults are still to be injected" in line for line in lines)
    assert not any("injected error@one into" in line for line in lines)


def test_what_a_killed_launch_did_not_write_down_the_next_one_does(launched, tmp_path) -> None:
    launched("error@one")
    for ledger_file in (tmp_path / "root/studies/s/ledger").iterdir():
        lines = ledger_file.read_text().splitlines(keepends=True)
        ledger_file.write_text("".join(line for line in lines if "injected" not in line))
    _, _, events = launched("error@one", text=STUDY.replace("[1, 2, 3]", "[4, 5]"))
    _, _, again = launched("error@one", text=STUDY.replace("[1, 2, 3]", "[6]"))
    for known in (events, again):
        assert [event.fault for event in known if isinstance(event, Injected)] == ["error@one"]


def test_a_launch_without_the_option_injects_nothing(launched) -> None:
    with pytest.raises(UserError):
        launched("error@nowhere")
    done, lines, events = launched(None)
    assert done.exit_code == 0 and not lines
    assert not [event for event in events if isinstance(event, Injected)]


def test_every_fault_has_a_line_of_help() -> None:
    assert len(describe_faults()) > 10


def test_a_job_whose_log_finds_no_room_is_done_without_it(launched, tmp_path) -> None:
    done, lines, _ = launched("enospc@one@log")
    assert done.exit_code == 0
    assert not any(line.startswith("error") for line in lines)
    (injected,) = (tmp_path / "root").glob("studies/s/chaos/*/injected/*.json")
    attempt = json.loads(injected.read_text())["place"]["attempt"]
    logs = {log.parent.name: log for log in (tmp_path / "root").rglob("log.txt")}
    assert len(logs) == 3 and logs[attempt].read_text() == ""


@pytest.mark.parametrize(
    "words", [f"storage-away@{area}:{n}" for area in ("ledger", "study") for n in (1, 2, 3)]
)
def test_a_storage_that_is_away_before_the_loop_begins_is_waited_for(launched, words) -> None:
    done, _, events = launched(words)
    assert done.exit_code == 0
    assert len([event for event in events if isinstance(event, Injected)]) == 1
    assert len([event for event in events if isinstance(event, LaunchStarted)]) == 1
    assert len([event for event in events if isinstance(event, Submitted)]) == 3


def test_why_names_the_fault_that_was_injected(launched, tmp_path, capsys) -> None:
    launched("error@one")
    (key,) = {event.key for event in read_events(Storage(tmp_path / "root"), "s")
              if isinstance(event, Injected)}  # fmt: skip
    where = ["why", str(tmp_path / "s.yaml"), key, "--root", str(tmp_path / "root")]
    assert main(where) == 0
    assert "injected on purpose by --chaos: error@one" in capsys.readouterr().out
    assert main([*where, "--json"]) == 0
    first, *_ = json.loads(capsys.readouterr().out)["history"]
    assert [fault["fault"] for fault in first["injected"]] == ["error@one"]


@pytest.mark.parametrize("words", ["lost-node", "kill-rank, lost-node@one", "lost-node:2"])
def test_what_ends_whole_nodes_is_refused_on_a_ray_that_others_may_use(words):
    with pytest.raises(UserError, match="others may work on the Ray at head:6379"):
        ChaosRequest(words=words, address="head:6379").require_own()
    ChaosRequest(words=words).require_own()
    ChaosRequest(words="lost-head,kill-rank", address="head:6379").require_own()
