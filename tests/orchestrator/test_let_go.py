"""Stages that say `keep: until-read`: what goes, when, what asks for it again, and what is told."""

import json
import os
import signal
import uuid
from contextlib import nullcontext
from dataclasses import replace

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.executors.local import Executor
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from orchestrator.cli import main
from orchestrator.dispatch.peak_disk import peak_disk
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.notebook import open_root
from orchestrator.plan.decided_plan import Purpose, decide_plan
from orchestrator.plan.decisions import Decision
from orchestrator.plan.plan import make_plan
from orchestrator.plan.retention import notes_on_retention, retention_of
from orchestrator.records.garbage import Collector
from orchestrator.records.letting_go import LettingGo
from orchestrator.records.verification import find_damage
from orchestrator.study.study import parse_study

LADDER = """\
study: {study}
axes:
  size: [1, 2, 3]
stages:
  base: {{kind: probe, over: [size], keep: {keep}, params: {{index: "${{size}}"}}}}
  next: {{kind: probe, inputs: {{after: base}}, params: {{index: {index}, waits: true}}}}
  last: {{kind: probe, inputs: {{after: next}}, params: {{index: 2, waits: true}}}}
"""


def ladder(study="ladder", *, keep="until-read", index=1):
    return parse_study(LADDER.format(study=study, keep=keep, index=index))


@pytest.fixture
def root(tmp_path):
    return Storage(tmp_path / "results")


@pytest.fixture(params=["local", "memory"])
def any_root(request, tmp_path):
    """A root on a disk, and one that is an object storage to everything above it."""
    if request.param == "local":
        return Storage(tmp_path / "results")
    return Storage(f"memory://let-go-{uuid.uuid4().hex}/results")


def run(root, study, watcher=None, **options):
    return launch(
        root,
        study,
        executor=Executor(),
        executor_name="local",
        progress=lambda: nullcontext(watcher or Watcher()),
        **options,
    )


def jobs_of(root, study, stage):
    decided = decide_plan(root, study, purpose=Purpose.FORECAST)
    return [decided.by_key[job.key] for job in decided.plan.stages[stage]]


def words(root, study, stage):
    return {item.decision for item in jobs_of(root, study, stage)}


def files_of(root, item):
    """The names that stand in the winning attempt, of those that its record lists."""
    artifact = Artifact(root, item.job.kind, item.job.key)
    folder = artifact.attempt_folder(artifact.record.attempt)
    return [name for name in artifact.record.files if root.exists(f"{folder}/{name}")]


def test_what_was_read_goes_and_its_record_stays(any_root):
    launched = run(any_root, ladder())

    assert launched.exit_code == 0 and len(launched.report.gone) == 3
    for item in jobs_of(any_root, ladder(), "base"):
        artifact = Artifact(any_root, item.job.kind, item.job.key)
        assert item.decision is Decision.REUSE and item.is_let_go
        assert "let go on" in item.why
        assert files_of(any_root, item) == []
        assert list(artifact.record.let_go.files) == ["probe.txt"]
        assert artifact.record.files["probe.txt"].bytes == 2
        with pytest.raises(SurroundingsError, match="was let go on .*until-read") as fault:
            artifact.read("probe.txt")
        assert "deltascale launch" in fault.value.hint
    for stage in ("next", "last"):
        assert all(files_of(any_root, item) for item in jobs_of(any_root, ladder(), stage))
    assert run(any_root, ladder()).report is None, "nothing is stale, and nothing is to run"


def test_each_goes_before_the_next_but_one_is_made(root):
    standing = []

    class Looks(Watcher):
        def note_start(self, job, attempt):
            items = jobs_of(root, ladder(), "base")
            standing.append(
                sum(item.decision is Decision.REUSE and not item.is_let_go for item in items)
            )

    run(root, ladder(), Looks())

    assert max(standing) <= 2, "one that is read, and one that is made meanwhile"


def test_a_new_stage_that_reads_it_has_it_made_again_and_nothing_else(root):
    run(root, ladder())
    more = parse_study(
        LADDER.format(study="ladder", keep="until-read", index=1)
        + "  other: {kind: probe, inputs: {after: base}, params: {index: 7, waits: true}}\n"
    )
    (first, *_) = jobs_of(root, more, "base")
    assert first.decision is Decision.REMAKE and first.why.startswith("its large files were let go")
    assert "other[size=1] reads them" in first.why
    assert words(root, more, "next") == {Decision.REUSE}

    launched = run(root, more)

    assert launched.exit_code == 0 and len(launched.report.ran) == 6
    assert words(root, more, "next") == words(root, more, "other") == {Decision.REUSE}
    assert all(item.is_let_go for item in jobs_of(root, more, "base"))


def test_a_stage_that_keeps_asks_for_what_was_let_go(any_root):
    run(any_root, ladder())
    kept = ladder(keep="always")
    assert words(any_root, kept, "base") == {Decision.REMAKE}

    launched = run(any_root, kept)

    assert launched.exit_code == 0 and len(launched.report.ran) == 3
    for item in jobs_of(any_root, kept, "base"):
        assert not item.is_let_go and files_of(any_root, item) == ["probe.txt"]
    assert run(any_root, kept).report is None


def test_keep_on_a_finished_study_lets_go_at_its_next_launch(root):
    run(root, ladder(keep="always"))

    launched = run(root, ladder())

    assert launched.report is None
    assert all(item.is_let_go for item in jobs_of(root, ladder(), "base"))


def test_other_bytes_make_what_read_the_old_ones_stale_and_it_is_done_again(root, monkeypatch):
    from jobs.kinds.probe import Probe

    run(root, ladder())
    real = Probe.run

    def other_bytes(self, work):
        facts = real(self, work)
        if not work.params.waits:
            (work.folder / "probe.txt").write_text("other\n")
        return facts

    monkeypatch.setattr(Probe, "run", other_bytes)
    more = parse_study(
        LADDER.format(study="ladder", keep="until-read", index=1)
        + "  other: {kind: probe, inputs: {after: base}, params: {index: 7, waits: true}}\n"
    )
    launched = run(root, more)

    assert launched.exit_code == 0
    for stage in ("base", "next", "last", "other"):
        assert words(root, more, stage) == {Decision.REUSE}, stage
    assert all(item.is_let_go for item in jobs_of(root, more, "base"))


def test_another_study_that_keeps_or_has_not_read_it_holds_it(any_root):
    run(any_root, ladder("other", keep="always"))
    assert run(any_root, ladder()).report is None, "the same jobs"
    assert not any(item.is_let_go for item in jobs_of(any_root, ladder(), "base"))

    # The other study lets go now, and has one more reader, which has not run.
    other = ladder("other", index=9)
    run(any_root, other, only=["base"])
    assert run(any_root, ladder()).report is None
    assert not any(item.is_let_go for item in jobs_of(any_root, ladder(), "base"))

    run(any_root, other)
    assert all(item.is_let_go for item in jobs_of(any_root, ladder(), "base"))


def test_a_new_study_on_the_root_has_it_made_again(root):
    run(root, ladder())
    other = ladder("other", index=9)
    assert words(root, other, "base") == {Decision.REMAKE}

    launched = run(root, other)

    assert launched.exit_code == 0
    assert words(root, ladder(), "next") == {Decision.REUSE}
    assert run(root, ladder()).report is None


def test_a_reader_that_is_at_work_holds_it(root):
    from jobs.artifacts.claim import claimed

    study = ladder(keep="always")
    run(root, study)
    reader = jobs_of(root, study, "next")[0].job
    with claimed(Artifact(root, reader.kind, reader.key)):
        run(root, ladder())
        assert [item.is_let_go for item in jobs_of(root, ladder(), "base")] == [False, True, True]
    run(root, ladder())
    assert all(item.is_let_go for item in jobs_of(root, ladder(), "base"))


def test_verify_and_gc_take_what_was_let_go_for_what_it_is(root):
    run(root, ladder())
    jobs = list(decide_plan(root, ladder()).plan.jobs)

    assert not [damage for _, found in find_damage(root, jobs) for damage in found]
    assert not [item for item in Collector(root).find() if "artifacts/probe" in item.name]

    # A launch that was killed between two files leaves one: `gc` takes it, and so does a launch.
    item = jobs_of(root, ladder(), "base")[0]
    artifact = Artifact(root, "probe", item.job.key)
    left = f"{artifact.attempt_folder(artifact.record.attempt)}/probe.txt"
    root.write(left, b"1\n")
    assert [(item.name, item.why) for item in Collector(root).find()] == [
        (left, "let go: all that read it were done")
    ]
    assert run(root, ladder()).report is None
    assert not root.exists(left)


def test_checkpoints_of_attempts_that_were_cut_off_go_with_it(root):
    run(root, ladder(keep="always"))
    job = jobs_of(root, ladder(), "base")[0].job
    saved = f"{job.folder}/attempts/20260101T000000-aaaaaa-000001/checkpoints/step-5/state"
    root.write(saved, b"large")

    run(root, ladder())

    assert not root.exists(saved)


def test_what_the_winner_took_over_from_an_attempt_that_was_cut_off_goes_with_it(any_root):
    run(any_root, ladder(keep="always"))
    job = jobs_of(any_root, ladder(), "base")[0].job
    folder = f"{job.folder}/attempts/20260101T000000-aaaaaa-000001"
    for name in ("probe.txt", "log.txt"):
        any_root.write(f"{folder}/{name}", b"0\n")

    run(any_root, ladder())

    # As a hard link it would hold the bytes until `gc`.
    assert not any_root.exists(f"{folder}/probe.txt")
    assert any_root.exists(f"{folder}/log.txt")


def make_again(monkeypatch, then):
    """Let every probe that reads nothing save a checkpoint, and do something before it goes on."""
    from jobs.kinds.probe import Probe

    real = Probe.run

    def saves(self, work):
        if not work.params.waits and work.params.index < 50:
            state = work.folder / "checkpoints" / "step-5" / "state"
            state.parent.mkdir(parents=True)
            state.write_text("hours")
            work.attempt.publish("checkpoints/step-5")
            then(work)
        return real(self, work)

    monkeypatch.setattr(Probe, "run", saves)


def has_more_to_do(index):
    """Return the study with one more job, which reads nothing."""
    return parse_study(
        LADDER.format(study="ladder", keep="until-read", index=1)
        + f"  more: {{kind: probe, params: {{index: {index}}}}}\n"
    )


def saved_in(root):
    return [name for name in root.walk("artifacts") if "/checkpoints/" in name]


def test_what_another_study_saves_while_it_makes_it_again_stays(any_root, monkeypatch):
    run(any_root, ladder())
    standing = []

    def launch_the_first_again(work):
        assert run(any_root, has_more_to_do(50)).exit_code == 0
        standing.append(any_root.list(f"{work.attempt.name}/checkpoints"))

    make_again(monkeypatch, launch_the_first_again)
    launched = run(any_root, ladder("other", index=9), only=["next:size=1"])

    assert launched.exit_code == 0 and standing == [["step-5"]]


def test_what_another_study_saved_at_its_time_limit_stays_until_it_has_gone_on(
    any_root, monkeypatch
):
    other = ladder("other", index=9)
    run(any_root, ladder())
    with monkeypatch.context() as patch:
        make_again(patch, lambda work: os.kill(os.getpid(), signal.SIGUSR1))
        assert run(any_root, other, patience=Patience(saves_within_s=5)).exit_code == 75
    saved = saved_in(any_root)
    assert len(saved) == 1

    assert run(any_root, ladder()).report is None
    assert run(any_root, has_more_to_do(50)).exit_code == 0
    collector = Collector(any_root)
    for item in list(collector.find()):
        collector.remove(item)

    assert saved_in(any_root) == saved
    (why,) = (left.why for left in collector.left if saved[0].startswith(left.name))
    assert "goes on from it" in why
    assert run(any_root, other).exit_code == 0
    assert not saved_in(any_root), "what was saved goes with what it helped to make"


def test_what_was_let_go_is_not_tried_again_with_every_job_that_ends(root, monkeypatch):
    tried = []
    real = LettingGo.let_go

    def counted(self, kind, key, readers):
        tried.append(key)
        return real(self, kind, key, readers)

    monkeypatch.setattr(LettingGo, "let_go", counted)
    run(root, ladder())
    assert len(tried) == len(set(tried)) == 3
    run(root, has_more_to_do(50))
    assert len(tried) == 6, "each once more by the next launch"


def test_only_selected_readers_are_not_all_readers(root):
    more = parse_study(
        LADDER.format(study="ladder", keep="until-read", index=1)
        + "  other: {kind: probe, inputs: {after: base}, params: {index: 7, waits: true}}\n"
    )
    run(root, more, only=["next"])
    assert not any(item.is_let_go for item in jobs_of(root, more, "base"))

    run(root, more, only=["other"])
    assert all(item.is_let_go for item in jobs_of(root, more, "base"))


def test_what_no_job_reads_stays_and_the_plan_says_so(root):
    alone = parse_study("study: alone\nstages:\n  base: {kind: probe, keep: until-read}\n")
    run(root, alone)

    (item,) = jobs_of(root, alone, "base")
    assert not item.is_let_go
    (note,) = notes_on_retention(decide_plan(root, alone).plan)
    assert "no job reads what the stage 'base' leaves" in note and "study.yaml:3" in note


def test_keep_is_for_stages_that_leave_something_large(root):
    with pytest.raises(UserError, match="keep.*until-reed") as fault:
        parse_study("study: s\nstages:\n  base: {kind: probe, keep: until-reed}\n")
    assert "until-read" in fault.value.hint
    study = parse_study(
        "study: s\nstages:\n"
        "  pairs: {kind: pairs, keep: until-read, params: {format: x, source: y}}\n"
    )
    with pytest.raises(UserError, match="jobs of kind 'pairs' leave nothing large"):
        make_plan(study)


def test_keep_is_never_part_of_a_key(root):
    one, other = make_plan(ladder()), make_plan(ladder(keep="always"))

    assert [job.key for job in one.jobs] == [job.key for job in other.jobs]


def test_the_plan_foresees_how_much_stands_at_a_time(root):
    study = ladder(keep="always")
    run(root, study)
    decided = decide_plan(root, study)
    sized = [
        replace(
            item,
            decision=Decision.NEW,
            bytes=None,
            expected_bytes=100 if item.job.stage == "base" else 1,
        )
        for item in decided.decisions
    ]

    peak = peak_disk(sized, retention_of(make_plan(ladder())))

    assert peak.peak_bytes_if_kept == 306 and peak.let_go_bytes == 300 and peak.num_let_go == 3
    assert peak.summary.startswith("3 artifacts, once all that read them are done: 0.0 MB; at most")
    assert peak.peak_bytes == 100 + 3, "one large one at a time"
    assert peak_disk(sized, retention_of(make_plan(study))) is None


def test_a_notebook_is_told_in_one_sentence_and_what_was_read_is_there(root):
    run(root, ladder())
    study = open_root(root.path("studies").parent).study("ladder")

    assert study.artifact("next", size=1).facts["depth"] == 1
    gone = study.artifact("base", size=1)
    assert gone.facts["index"] == 1
    with pytest.raises(SurroundingsError, match="probe.txt was let go on") as fault:
        gone.path("probe.txt")
    assert "take `keep` from the stage" in fault.value.hint


def test_a_plan_and_a_status_say_what_goes_and_what_has_gone(root, tmp_path, capsys):
    file = tmp_path / "ladder.yaml"
    file.write_text(LADDER.format(study="ladder", keep="until-read", index=1))
    place = ["--root", root.url]

    assert main(["plan", str(file), *place]) == 0
    assert "to let go: 3 artifacts, once all that read them are done" in capsys.readouterr().out
    assert main(["launch", str(file), "--executor", "local", *place]) == 0
    capsys.readouterr()
    assert main(["status", "ladder", *place]) == 0
    assert "3 done jobs whose large files were let go" in capsys.readouterr().out
    file.write_text(LADDER.format(study="ladder", keep="always", index=1))
    assert main(["plan", str(file), "--json", *place]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["totals"]["remake"] == 3 and document["totals"]["let_go"] is None
    assert main(["plan", str(file), *place]) == 0
    assert "3 remake" in capsys.readouterr().out
