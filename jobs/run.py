"""The entry point of a worker: runs the kind of one job on its inputs, publishes the record last.

Executors call `jobs.run:run`, or `jobs.run:run_batch` for several jobs in turn, whose records are
published while the next jobs run. Where several ranks do a job, each calls it: the first claims,
publishes and mirrors, and all return its answer. A rank that fails returns at once and alone, which
ends the others.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache, partial

from cluster.disk.temp_folders import own_temp_folder, sweep_now_and_then
from cluster.executor import Surroundings
from cluster.machine.left_over_variables import one_process
from jobs.artifacts.claim import Busy, claimed
from jobs.attempt import Attempt, require_marked
from jobs.worker.answer import Answer, Fault, State
from jobs.worker.assignment import Assignment
from jobs.worker.batch import do_in_turn
from jobs.worker.gang import Gang
from jobs.worker.injected_faults import injector_of
from jobs.worker.loaded_code import set_loaded_code_apart
from jobs.worker.logs import start_keeper, taking_turns
from jobs.worker.stop_signals import heeding_signals
from jobs.worker.versions import library_versions


def run(payload: str, surroundings: Surroundings) -> str:
    """Make one attempt at one job.

    Args:
        payload: an `Assignment` as JSON.
        surroundings: of this process.

    Returns:
        An `Answer` as JSON, whatever the job raised.
    """
    try:
        with _set_up(surroundings) as heedful:
            done = _work(payload, heedful)
            return done if isinstance(done, str) else done()
    except Exception as error:
        return _failed(error, surroundings)


def run_batch(payload: str, surroundings: Surroundings) -> str:
    """Make one attempt at each of several short jobs, in turn.

    Args:
        payload: from `batch_payload`.
        surroundings: of this process.

    Returns:
        Their answers, for `read_answers`.
    """
    with ExitStack() as opened:
        try:
            heedful = opened.enter_context(_set_up(surroundings))
            opened.enter_context(taking_turns(whole_process=surroundings.is_own_process))
        except Exception as error:
            return json.dumps([_failed(error, surroundings)])
        return do_in_turn(payload, heedful, partial(_work, publishes_later=True))


@contextmanager
def _set_up(surroundings: Surroundings) -> Iterator[Surroundings]:
    """Let this process be a worker while the block runs; yield surroundings that heed signals."""
    prepare_process()
    sweep_now_and_then()
    set_loaded_code_apart(is_own_process=surroundings.is_own_process)
    alone = one_process() if surroundings.num_ranks == 1 else nullcontext()
    with alone, own_temp_folder(), heeding_signals(surroundings) as heedful:
        yield heedful


@cache
def prepare_process() -> None:
    """Do once what the first job of a process would otherwise pay for alone.

    Its time would count as the job's: jobs share a call once they were seen to be short.
    """
    start_keeper()
    library_versions()


def _work(
    payload: str, surroundings: Surroundings, *, publishes_later: bool = False
) -> str | Callable[[], str]:
    """Do the work of one attempt; return its answer, or what publishes the work and answers."""
    assignment = Assignment.from_json(payload)
    try:
        with injector_of(assignment, surroundings).armed(), ExitStack() as held:
            done = _claim_and_work(assignment, surroundings, held, publishes_later=publishes_later)
            if isinstance(done, Answer):
                return done.to_json()
            return partial(_publish_and_answer, done, held.pop_all())
    except Exception as error:  # the storage, before the attempt began or after it ended
        return _failed(error, surroundings)


def _publish_and_answer(attempt: "Attempt", held: ExitStack) -> str:
    try:
        with attempt.alive, held, attempt.injector.armed(in_this_thread=True):
            return attempt.publish().to_json()
    except Exception as error:  # the storage, after the attempt ended
        return _failed(error, attempt.surroundings)


def _failed(error: Exception, surroundings: Surroundings) -> str:
    fault = Fault.of(error)
    return Answer(state=State.FAILED, fault=fault, node=surroundings.node).to_json()


def _claim_and_work(
    assignment: Assignment, surroundings: Surroundings, held: ExitStack, *, publishes_later: bool
) -> "Answer | Attempt":
    """Attempt the job unless the first rank finds it done or claimed by somebody else.

    Returns:
        The answer, or the attempt where its work is done and is still to be published.
    """
    gang = Gang(surroundings)

    def answer_unless(known: Answer | None) -> "Answer | Attempt":
        settled = gang.of_first(known)
        if settled:
            return settled
        attempt = Attempt(assignment, surroundings, gang, publishes_later=publishes_later)
        return attempt.answer() or attempt

    if surroundings.rank > 0:
        return answer_unless(None)
    artifact = assignment.artifact
    require_marked(assignment)
    try:
        held.enter_context(claimed(artifact, shared=assignment.num_workers > 1))
    except Busy:
        return answer_unless(Answer(state=State.BUSY))
    done = artifact.find_record()
    # One that was let go is asked for by somebody who reads it.
    is_done = done is not None and done[0].let_go is None
    return answer_unless(Answer(state=State.REUSED) if is_done else None)
