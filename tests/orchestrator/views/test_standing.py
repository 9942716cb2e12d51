"""The status of a running study, taken from its launch, is the one that records give."""

import json

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.plan.launched_plan import read_launched
from orchestrator.records.events import Ended, LaunchStarted, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.ledger import Ledger
from orchestrator.records.lock import study_lock
from orchestrator.views.standing import Standing

PROBES = """
study: probes
axes: {index: [0, 1, 2]}
stages:
  first: {kind: probe, over: [index], params: {index: "${index}"}}
  second: {kind: probe, inputs: {after: first}, params: {waits: true}}
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "probes.yaml").write_text(PROBES)
    return tmp_path / "probes.yaml"


@pytest.fixture
def root(tmp_path, study, capsys):
    words = ["launch", str(study), "--root", str(tmp_path / "root"), "--executor", "local"]
    assert main(words) == 0
    capsys.readouterr()
    return Storage(tmp_path / "root")


def of(found, *names):
    return {name: found[name] for name in names or ("jobs", "stages", "waiting", "let_go")}


def launch_id(root):
    return json.loads(root.read("studies/probes/plan.json"))["launch"]


def test_the_status_of_a_running_launch_is_that_of_its_records(root, study, monkeypatch):
    resting = Standing(root, "probes").status()
    with study_lock(root, "probes", launch_id(root)):
        monkeypatch.setattr(Standing, "_planned_anew", None)  # nothing is planned or read again
        for text in ("probes", str(study)):
            running = Standing(root, text).status()
            assert running["state"] == "running"
            assert of(running) == of(resting)


def test_a_job_without_its_folder_is_not_done_whatever_the_launch_has_written(root):
    (first, *_) = root.list("artifacts/probe")
    root.remove(f"artifacts/probe/{first}")
    with study_lock(root, "probes", launch_id(root)):
        assert Standing(root, "probes").status()["jobs"]["done"] == 5


def test_what_another_launch_does_meanwhile_is_seen_by_its_record(root):
    plan = read_launched(root, "probes", launch_id(root))
    job, identifier = plan.jobs[0], launch_id(root)
    record = root.read(f"{job.folder}/record.json")
    root.remove(f"{job.folder}/record.json")
    with study_lock(root, "probes", "later"):
        ledger = Ledger(root, "probes", "later")
        ledger.append(
            LaunchStarted(at=1, launch="later", host="h", pid=1, executor="ray", fresh=False)
        )
        ledger.flush()
        document = json.loads(root.read("studies/probes/plan.json"))
        document["launch"] = "later"
        for entry in document["jobs"]:
            entry["decision"] = "new" if entry["key"] == job.key else "reuse"
        root.write("studies/probes/plan.json", json.dumps(document).encode())
        standing = Standing(root, "probes")
        assert standing.status()["jobs"]["done"] == 5
        root.write(f"{job.folder}/record.json", record)
        assert standing.status()["jobs"]["done"] == 6

        ledger.append(Submitted(at=2, key=job.key, attempt="later-000001"))
        ledger.flush()
        assert standing.status()["jobs"]["running"] == 1
        ended = {"at": 3, "key": job.key, "attempt": "later-000001", "seconds": 1}
        ledger.append(Ended(**ended, result=Result.DONE))
        ledger.close()
        assert standing.status()["jobs"]["done"] == 6
    assert identifier != "later"


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"launch": "L", "jobs": [{}]}'])
def test_a_plan_that_cannot_be_read_is_made_anew(root, text):
    with study_lock(root, "probes", "L"):
        root.write("studies/probes/plan.json", text)
        assert read_launched(root, "probes", "L") is None
        assert Standing(root, "probes").status()["jobs"]["done"] == 6


def test_another_text_than_the_launched_one_is_planned_anew(root, study):
    study.write_text(PROBES.replace("[0, 1, 2]", "[0, 1, 2, 3]"))
    with study_lock(root, "probes", launch_id(root)):
        found = Standing(root, str(study)).status()["jobs"]
        assert (found["done"], found["waiting"]) == (6, 2)
        assert sum(Standing(root, "probes").status()["jobs"].values()) == 6


def test_a_job_of_another_key_than_at_the_last_launch_is_not_said_to_be_new(root, study):
    study.write_text(
        PROBES.replace('"${index}"', '"1${index}"').replace("[0, 1, 2]", "[0, 1, 2, 3]")
    )
    status = Standing(root, str(study)).status()
    waits = {job["cell"]["index"]: job["why"] for job in status["unfinished"][:4]}
    assert waits.pop("3") == "not launched yet"
    assert set(waits.values()) == {"another job since the last launch; `plan` says by what"}
    assert status["unfinished"][4]["why"].startswith("needs first")
    assert [group["jobs"] for group in status["waiting"]] == [4, 3, 1]
