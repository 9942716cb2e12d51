"""What a person sees of a study: on any terminal it fits, and in plain words nothing is drawn."""

import io
import json
import math

import pytest

from orchestrator.views import watching
from orchestrator.views.painter import Painter, is_terminal
from orchestrator.views.screen import Room, screen_lines
from orchestrator.views.watching import Changes, lines_of, watch

NOW = 1_700_000_000.0


def a_stage(name, jobs, **counts):
    states = dict.fromkeys(("done", "running", "waiting", "blocked", "failed"), 0)
    return {"stage": name, "jobs": jobs, **states, **counts}


def a_job(number, **activity):
    known = {"phase": "stepping", "since": NOW - 60, "step": 120, "steps": 2000, "unit": "step"}
    known |= {"rate": 2.5, "eta_seconds": 752.0, "memory_gb": 3.1, "gpu_use": 0.93}
    known |= {"gpu_memory_gb": 41.2, "node": "node-17", "health": "well", "why": None, "ranks": []}
    cell = {"rung": "1b", "seed": str(number), "beta": "0.1"}
    about = {"key": f"{number:064d}", "stage": "align", "cell": cell, "state": "running"}
    return {
        **about,
        "workers": 1,
        "fraction": 0.06,
        "doing": "step 120",
        "activity": known | activity,
    }


def a_failure(number, **more):
    about = {"key": str(number), "stage": "align", "cell": {"seed": str(number)}, "at": NOW - 90}
    about |= {"state": "waiting", "attempt": f"a-{number}", "signature": "cuda-out-of-memory"}
    about |= {"message": "CUDA out of memory: 80 GB", "remedy": "give it a smaller micro_batch"}
    return {**about, "decided_by": "again: 1 of 3 tries", **more}


def a_status(num_stages=40, num_running=64, **more):
    """A study of 10,000 jobs."""
    stages = [a_stage(f"stage-{at:02d}-of-the-study", 250, done=250) for at in range(10)]
    stages += [
        a_stage(f"stage-{at:02d}-of-the-study", 250, done=100, running=2, failed=1, waiting=147)
        for at in range(10, 30)
    ]
    stages += [a_stage(f"stage-{at:02d}-of-the-study", 250, waiting=250) for at in range(30, 40)]
    eta = {"seconds": 7500.0, "low": 6000.0, "high": 9000.0, "line": "about 2 h 05 min left"}
    groups = [{"why": f"wait for stage {at}", "jobs": 9, "stages": {"a": 9}} for at in range(9)]
    return {
        "study": "nursery",
        "state": "running",
        "jobs": {"done": 4500, "running": 64, "waiting": 5436, "blocked": 0, "failed": 0},
        "stages": stages[:num_stages],
        "launch": {"started": NOW - 3600, "held_by": "process 7", "silent_seconds": 1.0},
        "waits_for": None,
        "budget": None,
        "queue": None,
        "eta": eta,
        "failures": [a_failure(number) for number in range(6)],
        "waiting": groups,
        "unfinished": [a_job(number) for number in range(num_running)],
        **more,
    }


SIZES = [(80, 24), (200, 50), (80, 60), (40, 10), (20, 3), (300, 200), (1, 1)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("is_ascii", [False, True])
def test_ten_thousand_jobs_in_forty_stages_fit_any_terminal(width, height, is_ascii):
    lines = screen_lines(a_status(), Room(width=width, height=height, is_ascii=is_ascii), NOW)
    assert len(lines) <= height and max(line.cell_len for line in lines) <= width
    if is_ascii:
        assert all(line.plain.isascii() for line in lines)


def test_a_screen_of_80_by_24_says_everything_that_matters():
    text = "\n".join(
        line.plain for line in screen_lines(a_status(), Room(width=80, height=24), NOW)
    )
    for part in (
        "nursery: running; 4500 of 10000 done, 64 running, 5436 waiting",
        "for 1 h 00 min; about 2 h 05 min left",
        "10 stages done (2500 jobs)",
        "10 stages not begun (2500 jobs)",
        "100/250  2 running, 1 failed",
        "stepping  step 120/2000  12 min 32 s left  GPU 93%",
        "more running",
        "cuda-out-of-memory: CUDA out of memory",
        "give it a smaller micro_batch",
        "9 jobs of a wait for stage 0",
    ):
        assert part in text, text


def test_a_wide_screen_shows_rate_gpu_memory_and_node_of_each_job():
    status = a_status(num_running=3)
    text = "\n".join(line.plain for line in screen_lines(status, Room(width=200, height=50), NOW))
    assert text.count("GPU 93%  2.5/s  GPU 41.2 GB  3.1 GB  node-17") == 3


def test_what_keeps_the_study_is_said_first_and_what_hangs_before_what_is_well():
    jobs = [a_job(0), a_job(1, health="hung", why="no step for 9 min")]
    launch = {"started": NOW, "held_by": "process 7; no sign of life", "silent_seconds": 300.0}
    status = a_status(num_stages=1, unfinished=jobs, launch=launch)
    status |= {"waits_for": {"line": "waiting for room on the storage"}}
    lines = [line.plain for line in screen_lines(status, Room(width=80, height=24), NOW)]
    assert "no sign of life" in lines[2] and "waiting for room" in lines[3]
    rows = [line for line in lines if "seed=" in line and "step" in line]
    assert "stepping, hung" in rows[0]


def test_every_state_of_a_stage_has_a_sign_in_its_bar_whatever_its_share():
    stage = a_stage("s", 100_000, done=1, running=1, failed=1, waiting=99_997)
    status = a_status(stages=[stage], unfinished=[], failures=[], waiting=[])
    (line,) = [line for line in screen_lines(status, Room(width=80, height=9), NOW)][2:]
    assert "▓" in line.plain and "x" in line.plain and "·" in line.plain


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_only_lines_that_changed_are_written(monkeypatch):
    room = Room(width=80, height=24)
    stream = Terminal()
    with Painter(stream, lambda stream: room) as painter:
        painter.paint(lines_of([a_status()], room))
        first = len(stream.getvalue())
        painter.paint(lines_of([a_status()], room))
        same = len(stream.getvalue())
        painter.paint(lines_of([a_status(state="running", study="nursery-2")], room))
        changed = len(stream.getvalue())
    assert same - first < 200 and changed - same < 400 < first
    assert stream.getvalue().endswith("\x1b[?25h\x1b[?1049l")


def test_no_colour_and_dumb_terminals_are_heeded(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert is_terminal(Terminal()) and not is_terminal(Terminal(), plain=True)
    assert not is_terminal(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    stream, room = Terminal(), Room(width=80, height=24)
    with Painter(stream, lambda stream: room) as painter:
        painter.paint(screen_lines(a_status(), room, NOW))
    assert "\x1b[31m" not in stream.getvalue() and "\x1b[36m" not in stream.getvalue()


def test_plain_words_come_only_when_something_has_changed():
    stream = io.StringIO()
    changes = Changes(stream)
    status = a_status(num_stages=1, num_running=1, failures=[a_failure(0)])
    changes.show([status])
    first = stream.getvalue().splitlines()
    changes.show([json.loads(json.dumps(status)) | {"eta": {"line": "about 1 h left"}}])
    assert stream.getvalue().splitlines() == first
    assert all(line.isascii() and line.isprintable() for line in first)
    assert any("nursery: running; 4500 of 10000 done" in line for line in first)
    assert any("failure of align[seed=0] (cuda-out-of-memory)" in line for line in first)
    assert any("what to do: give it a smaller micro_batch" in line for line in first)

    status["unfinished"][0]["activity"] |= {"health": "slow", "why": "9 times its step"}
    changes.show([status])
    (new,) = stream.getvalue().splitlines()[len(first) :]
    assert new.endswith("align[rung=1b,seed=0,beta=0.1] is slow: 9 times its step")


def test_ctrl_c_ends_the_watch_alone_and_a_slow_look_is_rarer(monkeypatch):
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 2:
            raise KeyboardInterrupt

    clock = iter([0.0, 0.1, 2.0, 8.0])
    monkeypatch.setattr(watching.time, "monotonic", lambda: next(clock))
    status = a_status()
    assert watch(lambda: [status], io.StringIO(), plain=True, sleep=sleep) == [status]
    assert slept == [2.0, pytest.approx(60.0)] and math.isfinite(slept[1])


def test_a_watch_ends_when_nothing_is_at_work():
    looks = [[a_status()], [a_status(state="complete")]]
    shown = watch(lambda: looks.pop(0), io.StringIO(), plain=False, sleep=lambda seconds: None)
    assert shown[0]["state"] == "complete"


def test_several_studies_fit_one_screen_those_at_work_first():
    resting = [a_status(state="complete", study=f"old-{at}") for at in range(100)]
    broken = {"study": "broken", "state": "unreadable", "error": "no index"}
    lines = lines_of([*resting, broken, a_status()], Room(width=80, height=24))
    assert len(lines) <= 24 and lines[0].plain.startswith("nursery: running")
