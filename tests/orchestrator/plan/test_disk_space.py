import dataclasses
import shutil
from argparse import Namespace

import pytest

from cluster.storage import Storage
from jobs.artifacts.job import Job
from orchestrator.plan.decisions import Decision, JobDecision
from orchestrator.plan.disk_space import measure_disk_space
from orchestrator.text import gigabytes
from orchestrator.verbs import plan


def decided(index, decision=Decision.NEW, expected=None, stood=None):
    job = Job(kind="probe", version=1, params={}, identity_params={"index": index}, stage="s")
    return JobDecision(job=job, decision=decision, why="", bytes=stood, expected_bytes=expected)


def test_what_is_to_run_is_added_up_once_per_key_and_what_nobody_knows_is_counted(tmp_path):
    one = decided(0, expected=10)
    twin = dataclasses.replace(one, job=dataclasses.replace(one.job, cell={"other": "x"}))
    stale = decided(1, Decision.STALE, stood=7)
    rest = [decided(2), decided(3, Decision.REUSE, stood=1000), decided(4, Decision.FAILED)]

    found = measure_disk_space(Storage(tmp_path), [one, twin, stale, *rest])

    assert (found.most_bytes, found.num_unknown) == (17, 1)
    assert found.warning is None
    assert found.summary.startswith("up to 0.0 MB, size of 1 job not known yet; ")
    two = dataclasses.replace(found, num_unknown=2)
    assert "size of 2 jobs not known yet" in two.summary


def test_more_than_is_free_is_a_warning_even_before_the_root_exists(tmp_path):
    found = measure_disk_space(Storage(tmp_path / "not" / "yet"), [decided(0, expected=10**18)])
    assert found.free_bytes == pytest.approx(shutil.disk_usage(tmp_path).free, abs=10**9)
    assert "up to 1000000000.0 GB to write" in found.warning


def test_a_remote_root_has_as_much_room_as_it_has(tmp_path):
    found = measure_disk_space(Storage(f"memory://{tmp_path.name}"), [decided(0, expected=10**18)])
    assert (found.free_bytes, found.warning) == (None, None)


def test_sizes_read_as_people_say_them():
    assert [gigabytes(n) for n in (1_500_000, 12_340_000_000)] == ["1.5 MB", "12.3 GB"]


def test_a_plan_says_what_is_not_known(tmp_path, capsys):
    study = tmp_path / "study.yaml"
    study.write_text("study: s\nstages:\n  one: {kind: probe}\n")
    options = {
        "root": str(tmp_path / "root"),
        "study": str(study),
        "json": False,
        "all": False,
        "machines": None,
    }
    assert plan.run(Namespace(**options)) == 0
    assert "to write: size of 1 job not known yet; " in capsys.readouterr().out
