from time import sleep

import pytest

from cluster.storage import Storage
from orchestrator.records.events import LaunchStarted
from orchestrator.records.history import read_history
from orchestrator.records.launch_id import new_launch_id
from orchestrator.records.ledger import Ledger


def begin(root, launch):
    ledger = Ledger(root, "study", launch)
    fields = {"at": 1.0, "host": "here", "pid": 1, "executor": "local", "fresh": False}
    ledger.append(LaunchStarted(launch=launch, **fields))
    ledger.close()


def test_launches_of_one_second_sort_as_they_began():
    ids = [new_launch_id() for _ in range(50) if sleep(0.0001) is None]

    assert ids == sorted(ids) and len(set(ids)) == 50


def test_a_launch_after_one_whose_clock_was_ahead_is_the_latest(tmp_path):
    root = Storage(tmp_path)
    begin(root, "29991231T235959-fffff000")
    for _ in range(3):
        begin(root, new_launch_id(root, "study"))
    history = read_history(root, "study")
    assert history.num_launches == 4
    assert history.launch.launch == max(history.launches) > "29991231T235959-fffff000"


@pytest.mark.parametrize("folder", ["detached", "slurm"])
def test_a_launch_follows_those_that_were_handed_over(tmp_path, folder):
    root = Storage(tmp_path)
    root.write(f"studies/study/{folder}/29991231T000000-00000abc/launch.json", b"{}")
    assert new_launch_id(root, "study") > "29991231T000000-00000abc"


def test_what_is_no_launch_of_a_ledger_is_passed_over(tmp_path):
    root = Storage(tmp_path)
    for name in ("notes.txt", "30000101T000000.txt", "README"):
        root.write(f"studies/study/ledger/{name}", b"")
    assert new_launch_id(root, "study").startswith("20")
    begin(root, "29991231T235959-00000abc")
    assert new_launch_id(root, "study") > "29991231T235959-00000abc"
