"""`why STUDY JOB`: the story of a job that is done, failed, blocked, or was never tried."""

import json

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.records.ledger import ledger_folder
from orchestrator.records.submissions import files_of
from orchestrator.study.study import load_study
from orchestrator.views import job_story
from tests.launching import launch_locally

STUDY = """\
study: tale
axes: {index: [1, 2]}
stages:
  base: {kind: probe, over: [index], params: {index: "${index}"}}
  big:
    kind: probe
    inputs: {after: base}
    params: {index: "${index}", waits: true, holds_gb: 2, limit_gb: 1}
  top: {kind: probe, inputs: {after: big}, params: {index: "${index}", waits: true}}
  last: {kind: probe, inputs: {after: top}, params: {index: "${index}", waits: true}}
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A root on which a study was launched whose jobs of the stage `big` fail."""
    folder = tmp_path_factory.mktemp("tale")
    launch_locally(Storage(str(folder / "root")), folder / "tale.yaml", STUDY)
    return folder


@pytest.fixture
def why(told, capsys):
    """A function: words of a command line -> exit code, and what was printed."""

    def run(*words, study="tale", root=told / "root"):
        code = main(["why", study, *words, "--root", str(root)])
        return code, capsys.readouterr()

    return run


def test_a_failed_job_is_told_with_its_evidence_and_what_to_do(why):
    code, printed = why("big:index=1")
    lines = printed.out.splitlines()
    assert code == 0 and lines[0].endswith("probe): failed")
    assert "attempt 1 of 1 of launch 1" in lines[1] and "out of memory after" in lines[1]
    assert any("are more than 1 GB" in line for line in lines)
    assert any(line.strip().startswith("decided: ") for line in lines)
    assert any(line.strip().startswith("evidence: artifacts/probe/") for line in lines)
    assert "refused: it ran out of memory" in printed.out
    assert lines[-1].strip().startswith("next: mend the cause, then `deltascale resume tale")


def test_of_a_job_that_was_never_tried_the_failed_job_far_up_is_named(why):
    _, printed = why("last:index=2")
    assert "no launch of tale has tried it" in printed.out
    assert "kept by big[index=2], which is failed" in printed.out
    assert "`deltascale why tale" in printed.out.splitlines()[-1]


def test_of_a_done_job_the_result_and_its_readers_are_named(why):
    _, printed = why("base:index=1", "--json")
    story = json.loads(printed.out)
    assert (story["state"], story["why"], story["root_cause"]) == ("done", None, None)
    assert story["result"]["folder"].startswith("artifacts/probe/")
    assert story["result"]["made_by"] == "tale"
    assert [reader["job"] for reader in story["readers"]] == ["big[index=1]"]


def test_who_reused_a_job_is_named_and_who_made_it(told, why):
    other = STUDY.replace("study: tale", "study: other")
    launch_locally(Storage(str(told / "root")), told / "other.yaml", other)
    _, printed = why("base:index=2", study="other")
    assert "done by study tale in" in printed.out
    assert "reused by other studies: tale: base[index=2]" in printed.out
    assert "no launch of other has tried it" in printed.out


def test_several_jobs_are_listed_and_a_wrong_name_gets_the_nearest(why):
    code, printed = why("big")
    assert code == 2 and "selects 2 jobs, not one" in printed.err and "big[index=2]" in printed.err
    code, printed = why("bgi:index=1")
    assert code == 2 and "did you mean 'big'?" in printed.err


def test_a_study_that_was_not_launched_is_told_from_its_file(tmp_path, why):
    (tmp_path / "tale.yaml").write_text(STUDY)
    root = tmp_path / "empty"
    _, printed = why("big:index=1", study=str(tmp_path / "tale.yaml"), root=root)
    assert "no launch of tale has tried it" in printed.out
    assert "needs base[index=1] (waiting)" in printed.out
    assert "`deltascale launch " in printed.out.splitlines()[-1]


@pytest.fixture
def copied(told, tmp_path):
    """A copy of the root, and the ledger's only file in it."""
    import shutil

    shutil.copytree(told / "root", tmp_path / "root")
    (ledger,) = (tmp_path / "root" / ledger_folder("tale")).iterdir()
    return tmp_path / "root", ledger


def test_a_root_of_yesterday_is_told_without_what_it_does_not_say(copied, why):
    root, ledger = copied
    new = ("signature", "rank", "step", "exit_code", "signal", "decision", "decided_by")
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    for event in events:
        for name in (*new, "fault_class", "peak_gb", "held"):
            event.pop(name, None)
    ledger.write_text("".join(json.dumps(event) + "\n" for event in events))
    for file in root.rglob("evidence.json"):
        file.unlink()
    code, printed = why("big:index=1", root=root)
    assert code == 0 and "out of memory after" in printed.out
    assert "evidence:" not in printed.out and "decided:" not in printed.out


def test_an_attempt_whose_launch_was_killed_says_so(copied, why):
    root, ledger = copied
    lines = [line for line in ledger.read_text().splitlines() if '"ended"' not in line]
    ledger.write_text("\n".join(line for line in lines if "launch-ended" not in line) + "\n")
    _, printed = why("big:index=1", "--json", root=root)
    story = json.loads(printed.out)
    (attempt,) = [event for event in story["history"] if event["event"] == "attempt"]
    assert attempt["ended"] is None and story["killed_by"] is None
    _, printed = why("big:index=1", root=root)
    assert "no end of it is known" in printed.out


def test_evidence_that_is_damaged_hides_nothing_else(copied, why):
    root, _ = copied
    for file in root.rglob("evidence.json"):
        file.write_text("{")
    code, printed = why("big:index=1", root=root)
    assert code == 0 and "out of memory after" in printed.out


@pytest.mark.slow
def test_a_story_is_told_of_an_object_storage(bucket, tmp_path, why):
    root = Storage(bucket)
    launch_locally(root, tmp_path / "tale.yaml", STUDY)
    assert decide_plan(root, load_study(tmp_path / "tale.yaml")).to_run
    _, printed = why("big:index=1", root=bucket)
    assert "out of memory after" in printed.out and "evidence: artifacts/probe/" in printed.out


def test_a_job_that_was_done_as_its_launch_was_killed_is_done(copied, why):
    root, ledger = copied
    lines = [line for line in ledger.read_text().splitlines() if '"ended"' not in line]
    ledger.write_text("\n".join(line for line in lines if "launch-ended" not in line) + "\n")
    _, printed = why("base:index=1", root=root)
    assert "done; its launch has not written that down" in printed.out
    assert "no end of it is known" not in printed.out


def test_no_file_but_a_log_of_the_submission_itself_is_read(tmp_path):
    root = Storage(str(tmp_path / "root"))
    own = files_of(root, "tale", "one")
    own.mkdir(parents=True)
    text = (
        "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***"
    )
    for log in (own / "5.log", tmp_path / "5.log"):
        log.write_text(text)
    (own / "link.log").symlink_to(tmp_path / "5.log")

    def read(log):
        allocations = [{"jobs": ["5"], "log": str(log)}]
        return job_story._killed_by(root, "tale", {"submission": "one", "allocations": allocations})

    assert read(own / "%j.log")["line"] == text
    for log in (tmp_path / "%j.log", own / ".." / ".." / ".." / ".." / ".." / "%j.log"):
        assert read(log) is None
    assert read(own / "link.log") is None
