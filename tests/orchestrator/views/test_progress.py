import io
import json

import pytest

from cluster.fault_classes import FaultClass
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.records.failure import Result
from orchestrator.text import duration
from orchestrator.views import live_view
from orchestrator.views.live_view import LiveView, open_progress
from orchestrator.views.progress import PlainLines, summary


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_away_from_a_terminal_failures_and_a_summary_are_plain_lines(launch, make_probe, root):
    stream = io.StringIO()
    bad = make_probe(0, fail=True)
    jobs = [bad, make_probe(1, after=bad), make_probe(2)]

    with open_progress(root, stream) as watcher:
        launch(jobs, watcher=watcher)

    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("mistake: probes[index=0]: a mistake in study or data on ")
    assert lines[0].endswith(
        ": this probe was told to fail; not tried again: without a change it would end the same way"
    )
    assert lines[1:] == ["1 of 3 done, 1 failed, 1 blocked"]


WAIT = Wait(fault_class=FaultClass.STORAGE_FULL, message="no room\nmore", since=1.7e9, began=0.0)


def test_what_is_waited_for_is_one_line_when_it_begins_and_one_when_it_is_over(root):
    stream = io.StringIO()
    with open_progress(root, stream) as watcher:
        watcher.note_wait(WAIT)
        watcher.note_wait(None)
    first, last = stream.getvalue().splitlines()
    assert first.startswith("waiting for room on the storage since 2023-11-1")
    assert first.endswith(": no room") and last == "the wait is over"


def test_on_a_terminal_what_is_waited_for_is_drawn_until_it_is_over(root):
    stream = Terminal()
    with open_progress(root, stream) as watcher:
        watcher.note_wait(WAIT)
        watcher._live.refresh()
        drawn = stream.getvalue()
        watcher.note_wait(None)
        stream.truncate(0)
        watcher._live.refresh()
        assert "waiting for room on the storage since" in drawn
        assert "waiting for" not in stream.getvalue()


def test_on_a_terminal_running_jobs_and_their_progress_are_drawn(make_probe, root, launch):
    stream = Terminal()
    job = make_probe(7)
    folder = launch.artifact(job).attempt_folder("1-000001")
    said = {"fraction": 0.5, "doing": "step 5 of 10", "at": 2.0}
    root.write(f"{folder}/progress.json", json.dumps(said).encode())

    with open_progress(root, stream) as watcher:
        assert isinstance(watcher, LiveView)
        watcher.note_start(job, "1-000001")
        watcher.tick({**dict.fromkeys(JobState, 0), JobState.DONE: 3, JobState.RUNNING: 1})
        watcher._live.refresh()

    drawn = stream.getvalue()
    for part in ("3 of 4 done, 1 running", "probes[index=7]", "50%", "step 5 of 10"):
        assert part in drawn


def raising(*_):
    raise KeyError("phase")


@pytest.mark.parametrize("part", ["Standing.status", "screen_lines"])
def test_a_view_that_breaks_shows_running_jobs_alone(make_probe, root, monkeypatch, part):
    stream, job = Terminal(), make_probe(7)
    monkeypatch.setattr(live_view.Standing, "status", lambda standing: {"state": "running"})
    monkeypatch.setattr(f"orchestrator.views.live_view.{part}", raising)
    with open_progress(root, stream, "study") as watcher:
        watcher.note_start(job, "1-000001")
        watcher.tick({**dict.fromkeys(JobState, 0), JobState.RUNNING: 1})
        watcher._live.refresh()
    assert "probes[index=7]" in stream.getvalue()


def test_a_launch_on_a_terminal_leaves_its_summary_behind(make_probe, root, launch):
    stream = Terminal()
    with open_progress(root, stream) as watcher:
        launch([make_probe(index) for index in range(4)], watcher=watcher)
    assert "4 of 4 done" in stream.getvalue().splitlines()[-1]


def test_summaries_leave_out_what_is_zero():
    counts = dict.fromkeys(JobState, 0)
    assert summary({**counts, JobState.DONE: 2}) == "2 of 2 done"
    assert summary({**counts, JobState.WAITING: 2, JobState.BLOCKED: 1}) == (
        "0 of 3 done, 2 waiting, 1 blocked"
    )


def test_times_read_as_people_say_them():
    assert [duration(s) for s in (3.4, 200, 7500)] == ["3 s", "3 min 20 s", "2 h 05 min"]


def test_workers_that_share_a_job_are_one_line_with_the_foremost_progress(make_probe, root, launch):
    stream = Terminal()
    job = make_probe(7, parts=4, workers=3)
    for attempt, fraction in (("1-000001", 0.25), ("1-000002", 0.75)):
        said = {"fraction": fraction, "doing": f"at {fraction}", "at": 2.0}
        folder = launch.artifact(job).attempt_folder(attempt)
        root.write(f"{folder}/progress.json", json.dumps(said).encode())

    with open_progress(root, stream) as watcher:
        for attempt in ("1-000001", "1-000002", "1-000003"):
            watcher.note_start(job, attempt)
        watcher.tick({**dict.fromkeys(JobState, 0), JobState.RUNNING: 1})
        watcher._live.refresh()

    drawn = stream.getvalue()
    assert "75%" in drawn and "3 workers, at 0.75" in drawn
    assert drawn.count("probes[index=7]") == drawn.count("3 workers")


def test_a_failure_whose_line_says_that_it_is_final_has_no_second_line(make_probe):
    stream, job, other = io.StringIO(), make_probe(0), make_probe(1)
    lines = PlainLines(stream)
    for one, message in ((job, "a mistake: x; not tried again: spent"), (other, "lost")):
        lines.note_start(one, one.key)
        lines.note_end(one, one.key, Result.MISTAKE, message)
        lines.note_drop(one, JobState.FAILED, "x")
    assert stream.getvalue().splitlines() == [
        "mistake: probes[index=0]: a mistake: x; not tried again: spent",
        "mistake: probes[index=1]: lost",
        "failed: probes[index=1]: x",
    ]
