"""One launch, from jobs to its `Report`; the executor starts only when something is to run."""

import os
import platform
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

from cluster.executor import Executor
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.worker.run import code_commit
from orchestrator.dispatch.cancel_requests import take_requests
from orchestrator.dispatch.dispatcher import Dispatcher
from orchestrator.dispatch.job_states import Board, JobState
from orchestrator.dispatch.report import LaunchState, Report
from orchestrator.dispatch.submission import Origin, root_id
from orchestrator.dispatch.watcher import Nobody, Watcher
from orchestrator.records.history import History, add
from orchestrator.records.ledger import LaunchEnded, LaunchStarted, Ledger

PACKAGES = ("analysis", "cluster", "jobs", "orchestrator")
"""What a joined Ray is given to import: these packages of this checkout, and nothing else."""


def new_launch_id() -> str:
    """An id that sorts by time and is no other launch's."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"


def run_study(
    jobs: Sequence[Job],
    *,
    done: Set[str],
    stale: Set[str] = frozenset(),
    storage: Storage,
    study: str,
    launch: str,
    executor: Executor,
    executor_name: str,
    past: History,
    fresh: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Run what is not done. The caller holds the study's lock, and planned while holding it.

    Args:
        jobs: All jobs in topological order; equal keys are one job.
        done: Keys that need nothing; they may lie outside `jobs`.
        stale: Keys whose record is to be taken away before they run again.
        storage: The output root.
        study: Name of the study.
        launch: Id of this launch, from `new_launch_id`.
        executor: Where jobs run; started here when there is something to run, and closed.
        executor_name: Its name, for the ledger.
        past: What the ledger says so far; this launch's events are added to it.
        fresh: Give jobs that failed earlier a new retry budget (`resume`).
        watcher: Is told what happens.

    Raises:
        SurroundingsError: the executor cannot start, or the root cannot be written.
    """
    started = time.monotonic()
    board = Board(jobs, done)
    if not board.unsettled:
        return _nothing_to_do(board, started)
    take_requests(storage, study)  # those of before were meant for an earlier launch
    event = LaunchStarted(
        at=time.time(),
        launch=launch,
        host=platform.node(),
        pid=os.getpid(),
        executor=executor_name,
        fresh=fresh,
    )
    add(past, event)
    ledger = Ledger(storage, study, launch)
    ledger.append(event)
    ledger.flush()
    state = LaunchState.INTERRUPTED
    try:
        dispatcher = Dispatcher(
            board=board,
            launch=launch,
            origin=Origin(
                storage=storage, root_id=root_id(storage), study=study, commit=code_commit()
            ),
            executor=executor,
            ledger=ledger,
            past=past,
            stale=stale,
            watcher=watcher or Nobody(),
        )
        dispatcher.settle_past()
        if board.unsettled:
            with _started(executor):
                dispatcher.run()
        state = _state(board, dispatcher)
    finally:
        ended = LaunchEnded(at=time.time(), launch=launch, state=state.value)
        add(past, ended)
        ledger.append(ended)
        ledger.close()
    return _report(state, board, dispatcher, started)


@contextmanager
def _started(executor: Executor) -> Iterator[None]:
    executor.start()
    try:
        yield
    finally:
        executor.close()


def _state(board: Board, dispatcher: Dispatcher) -> LaunchState:
    if board.counts[JobState.DONE] == len(board.jobs):
        return LaunchState.COMPLETE
    if dispatcher.heard.requested:
        return LaunchState.INTERRUPTED
    if dispatcher.cancelled:
        return LaunchState.CANCELLED
    return LaunchState.FAILED


def _report(state: LaunchState, board: Board, dispatcher: Dispatcher, started: float) -> Report:
    return Report(
        state=state,
        ran=dispatcher.ran,
        reused=dispatcher.reused,
        failed={key: board.because[key] for key in board.in_state(JobState.FAILED)},
        blocked={key: board.because[key] for key in board.in_state(JobState.BLOCKED)},
        cancelled=board.in_state(JobState.CANCELLED),
        waiting=board.in_state(JobState.WAITING) + board.in_state(JobState.RUNNING),
        num_attempts=dispatcher.num_attempts,
        seconds=round(time.monotonic() - started, 3),
    )


def _nothing_to_do(board: Board, started: float) -> Report:
    return Report(
        state=LaunchState.COMPLETE,
        ran=[],
        reused=board.in_state(JobState.DONE),
        failed={},
        blocked={},
        cancelled=[],
        waiting=[],
        num_attempts=0,
        seconds=round(time.monotonic() - started, 3),
    )
