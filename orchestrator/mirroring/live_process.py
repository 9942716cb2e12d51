"""A process beside a launch that shows the study in W&B while it runs.

The launch itself imports no W&B and waits for none. This process reads the root as `status` does;
it hears by its standard input how the launch ended, or from that being closed that it was killed.
"""

import os
import select
import sys
import time
from contextlib import suppress

from cluster.machine.asking_signals import ignore_all
from cluster.storage import Storage
from jobs.entries.own_entries import apart
from jobs.mirror.study_run import StudyRun
from orchestrator.mirroring.names import live_name
from orchestrator.mirroring.study_state import StudyState
from orchestrator.mirroring.tables import shown_tables
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.plan.study_folder import open_study

ROWS_EVERY_S = 30.0
_SHARE = 20.0
"""Reading takes at most one part in so many of the time."""
_TABLES_EVERY_S = 600.0
_KILLED = "killed"


def main(root_url: str, study_name: str, launch: str) -> int:
    """Follow a launch to its end.

    Args:
        root_url: the output root.
        study_name: the study.
        launch: id of the launch.
    """
    ignore_all()  # the launch hears them, and ends this one
    os.nice(10)
    root = Storage(root_url)
    with apart():
        run = StudyRun.open(live_name(root, study_name, launch))
        if run is None:
            return 0
        state = _follow(root, study_name, run)
        run.close(0 if state == "complete" else 1)
    return 0


def _follow(root: Storage, study_name: str, run: StudyRun) -> str:
    """Show the study until its launch ends; return how it ended."""
    decided = decide_plan(root, open_study(root, study_name))
    ended, tables_at, num_done = None, 0.0, -1.0
    while True:
        began = time.monotonic()
        with suppress(Exception):  # the storage or W&B may be away: the next row says more
            now, state = time.time(), StudyState.read(root, study_name)
            values, hours = state.values(root, decided, now), state.hours(now)
            run.log(hours, values)
            is_due = ended is not None or began - tables_at > _TABLES_EVERY_S
            if is_due and values["jobs/done"] != num_done:
                tables_at, num_done = began, values["jobs/done"]
                run.show(hours, {"state": ended or "running"}, shown_tables(root, study_name))
            elif ended is not None:
                run.show(hours, {"state": ended}, {})
        if ended is not None:
            return ended
        ended = _wait(max(ROWS_EVERY_S, _SHARE * (time.monotonic() - began)))


def _wait(seconds: float) -> str | None:
    """Return how the launch ended; None where it has not within so many seconds."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return (sys.stdin.readline().strip() or _KILLED) if ready else None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
