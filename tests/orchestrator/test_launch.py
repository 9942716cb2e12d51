"""A launch plans what is there while it holds the study's lock."""

from contextlib import contextmanager, nullcontext

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.executors.local import Executor
from cluster.storage import Storage
from orchestrator import launch as launching
from orchestrator.dispatch.watcher import Watcher
from orchestrator.plan.plan import make_plan
from orchestrator.records import what_runs
from orchestrator.records.lock import study_lock
from orchestrator.study.study import load_study

STUDY = """
study: texts
stages:
  texts: {kind: prompts,
          params: {format: text, source: texts.txt, options: {min_words: 2, prompt_words: 2,
                                                              held_out: 0}}}
"""


TWO = """
study: two
stages:
  one: {kind: probe, params: {index: 1}}
  other: {kind: probe, params: {index: 2}}
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "texts.txt").write_text("the cat sat on the mat\n")
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return load_study(file)


@pytest.fixture
def launch_after(study, tmp_path, monkeypatch):
    """A function: launches the study; something happens between its first plan and its lock."""

    def launch(event):
        @contextmanager
        def lock(*args, **options):
            event()
            with study_lock(*args, **options) as held:
                yield held

        monkeypatch.setattr(launching, "study_lock", lock)
        return launching.launch(
            Storage(tmp_path / "root"),
            study,
            executor=Executor(),
            executor_name="local",
            progress=lambda: nullcontext(Watcher()),
        )

    return launch


def test_a_file_edited_before_the_lock_is_held_counts_as_it_is_then(launch_after, study, tmp_path):
    planned = make_plan(study)

    def edit():
        (tmp_path / "texts.txt").write_text("the dog lay on the rug\nand the cat on the mat\n")

    launched = launch_after(edit)
    assert launched.exit_code == 0
    keys = make_plan(study).by_key.keys()
    assert launched.decided.plan.by_key.keys() == keys != planned.by_key.keys()
    assert not launched.decided.to_run


def test_a_file_gone_before_the_lock_is_held_is_an_error_with_its_place(launch_after, tmp_path):
    with pytest.raises(UserError) as caught:
        launch_after((tmp_path / "texts.txt").unlink)
    assert "study.yaml:5" in caught.value.where


def test_keys_are_permitted_for_all_that_may_have_to_run_done_or_not(tmp_path, monkeypatch):
    file, root = tmp_path / "two.yaml", Storage(tmp_path / "root")
    file.write_text(TWO)
    study, permitted = load_study(file), []
    first, second = make_plan(study).jobs

    def launch(**options):
        return launching.launch(
            root,
            study,
            executor=Executor(),
            executor_name="local",
            progress=lambda: nullcontext(Watcher()),
            **options,
        )

    @contextmanager
    def lock(*args, **options):
        root.remove(f"{first.folder}/record.json")  # it was done when the launch was planned
        with study_lock(*args, **options) as held:
            yield held

    launch()
    root.remove(f"{second.folder}/record.json")
    monkeypatch.setattr(launching, "study_lock", lock)

    assert set(launch(permit=permitted.extend).report.ran) == {first.key, second.key}
    assert {job.key for job in permitted} == {first.key, second.key}


def test_a_fault_before_the_lock_names_the_launch_that_is_running(
    launch_after, study, tmp_path, monkeypatch
):
    root = Storage(tmp_path / "root")

    def is_away(*args, **options):
        raise SurroundingsError("the storage is away", hint="mount it")

    monkeypatch.setattr(launching, "check_before_running", is_away)
    with pytest.raises(SurroundingsError) as alone:
        launch_after(lambda: None)
    assert alone.value.hint == "mount it"
    with study_lock(root, "texts", "theirs"):
        with pytest.raises(SurroundingsError) as beside:
            launch_after(lambda: None)
        monkeypatch.setattr(what_runs, "current_holder", is_away)
        with pytest.raises(SurroundingsError) as unseen:
            launch_after(lambda: None)
    assert beside.value.hint.startswith("mount it; a launch of this study is running: process")
    assert "launch theirs" in beside.value.hint and "`deltascale status texts`" in beside.value.hint
    assert "cannot be seen" in unseen.value.hint


def test_what_the_lock_itself_refuses_names_the_holder_once(launch_after, tmp_path):
    with (
        study_lock(Storage(tmp_path / "root"), "texts", "theirs"),
        pytest.raises(SurroundingsError) as refused,
    ):
        launch_after(lambda: None)
    assert str(refused.value).count("launch theirs") == 1
