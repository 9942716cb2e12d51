"""The entry point of a worker: runs the kind of one job on its inputs, publishes the record last.

Executors call `jobs.run:run`, or `jobs.run:run_batch` for several jobs in turn. Where several ranks
do a job, each calls it: the first claims, publishes and mirrors, and all return its answer. A rank
that fails returns at once and alone, which ends the others.
"""

import os
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from cluster.disk.temp_folders import own_temp_folder, sweep_now_and_then
from cluster.errors import UserError
from cluster.executor import Surroundings
from cluster.fault_classes import FaultClass
from cluster.machine.left_over_variables import one_process, require_own_precision
from cluster.redaction.redactor import redacted
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.claim import Busy, claimed
from jobs.entries.own_entries import line_of, received
from jobs.hub.offline import hub_offline
from jobs.kind import KINDS
from jobs.text.hub_data import with_local_data
from jobs.worker.answer import Answer, Code, Fault, State
from jobs.worker.assignment import Assignment
from jobs.worker.batch import do_in_turn
from jobs.worker.gang import Gang
from jobs.worker.gpu_room import held_to_part, taken_by_others
from jobs.worker.host_memory import host_peak_bytes, reset_host_peak
from jobs.worker.logs import captured
from jobs.worker.mounted_root import require_mounted
from jobs.worker.out_of_memory import as_out_of_memory
from jobs.worker.stop_signals import heeding_signals
from jobs.worker.tracking import Tracker
from jobs.worker.versions import library_versions
from jobs.worker.visible_records import digest_of_input
from jobs.worker.whose_fault import is_of_host
from jobs.worker.work import AttemptFolder, GatheredInput, Stopped, Work, log_name

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def run(payload: str, surroundings: Surroundings) -> str:
    """Make one attempt at one job.

    Args:
        payload: an `Assignment` as JSON.
        surroundings: of this process.

    Returns:
        An `Answer` as JSON, whatever the job raised.
    """
    assignment = Assignment.from_json(payload)
    try:
        sweep_now_and_then()
        alone = one_process() if surroundings.num_ranks == 1 else nullcontext()
        with alone, own_temp_folder(), heeding_signals(surroundings) as heedful:
            return _claim_and_answer(assignment, heedful, Gang(heedful)).to_json()
    except Exception as error:  # the storage, before the attempt began or after it ended
        fault = Fault.of(error)
        return Answer(state=State.FAILED, fault=fault, node=surroundings.node).to_json()


def run_batch(payload: str, surroundings: Surroundings) -> str:
    """Make one attempt at each of several short jobs, in turn.

    Args:
        payload: from `batch_payload`.
        surroundings: of this process.

    Returns:
        Their answers, for `read_answers`.
    """
    return do_in_turn(payload, surroundings, run)


def _claim_and_answer(assignment: Assignment, surroundings: Surroundings, gang: Gang) -> Answer:
    """Attempt the job unless the first rank finds it done or claimed by somebody else."""

    def answer_unless(known: Answer | None) -> Answer:
        settled = gang.of_first(known)
        return settled or _Attempt(assignment, surroundings, gang).answer()

    if surroundings.rank > 0:
        return answer_unless(None)
    artifact = assignment.artifact
    _require_mounted(assignment)
    try:
        with claimed(artifact, shared=assignment.num_workers > 1):
            done = artifact.find_record()
            # One that was let go is asked for by somebody who reads it.
            is_done = done is not None and done[0].let_go is None
            return answer_unless(Answer(state=State.REUSED) if is_done else None)
    except Busy:
        return answer_unless(Answer(state=State.BUSY))


class _Attempt:
    """This rank's part in an attempt that is really made."""

    def __init__(self, assignment: Assignment, surroundings: Surroundings, gang: Gang) -> None:
        self.assignment, self.surroundings, self.gang = assignment, surroundings, gang
        self.artifact = assignment.artifact
        self.folder = AttemptFolder(self.artifact, assignment.attempt)
        self.started = time.monotonic()

    def answer(self) -> Answer:
        """Run the job; return the first rank's answer, or this one's where it failed here."""
        answer = self._run_with_log()
        if answer.state is State.FAILED:
            return answer
        agreed = self.gang.of_first(answer)
        assert isinstance(agreed, Answer), f"this rank ended with {answer}, the first goes on"
        return agreed

    def _run_with_log(self) -> Answer:
        """Run the job and turn whatever it raises into an answer and a log."""
        state, fault, is_own = State.DONE, None, self.surroundings.is_own_process
        if is_own:
            reset_host_peak()
        log = log_name(self.surroundings.rank)
        with captured(self.folder.path / log, whole_process=is_own):
            self._log(f"attempt {self.assignment.attempt}, {self._company()}")
            try:
                with (
                    hub_offline(self.assignment.is_hub_offline),
                    received(self.assignment.own_code, self.assignment.pins).bringing(),
                ):
                    state = State.DONE if self._run_kind() else State.REUSED
            except (Stopped, KeyboardInterrupt):
                state = State.STOPPED
            except Exception as error:  # the boundary
                traceback.print_exc(file=sys.stderr)
                # An interrupt that meets a library's import or callback becomes an error of its.
                is_stop = self.surroundings.stop_requested() and not isinstance(error, UserError)
                state, fault = (
                    (State.STOPPED, None) if is_stop else (State.FAILED, self._fault(error))
                )
            self._log(f"{state.value} after {self._seconds():.1f} s")
        if not self.artifact.storage.is_local:
            self.folder.publish(log)
            self.folder.discard_scratch()
        node = self.surroundings.node if fault else None
        return Answer(
            state=state,
            seconds=self._seconds(),
            fault=fault,
            node=node,
            peak_gb=round(host_peak_bytes() / 1e9, 3) if is_own else None,
        )

    def _fault(self, error: Exception) -> Fault:
        own = line_of(error)
        fault = Fault.of(error, f"entries/{own}" if own else None)
        whole_gpus = float(self.assignment.params.get("num_gpus") or 0) >= 1
        if fault.fault_class is not FaultClass.OUT_OF_MEMORY or not whole_gpus:
            return fault
        needed = max(self.assignment.peak_memory_gb * 1e9, getattr(error, "needed_bytes", 0.0))
        try:
            return fault if is_of_host(error) else _unless_taken(fault, needed)
        except Exception:  # a look around that fails must not lose the answer
            traceback.print_exc(file=sys.stderr)
            return fault

    def _run_kind(self) -> bool:
        """Run the kind on its inputs and publish; False when another record came first."""
        assignment = self.assignment
        kind = KINDS.find(assignment.kind)
        _set_arithmetic(assignment.threads, uses_torch=kind.USES_TORCH)
        params = with_local_data(kind.Params(**assignment.params), self.artifact.storage)
        num_gpus = getattr(params, "num_gpus", 0) or 0
        if num_gpus:
            require_own_precision()
        inputs = self._inputs()
        digests = {
            upstream.artifact.key: digest_of_input(
                upstream.artifact,
                within_s=assignment.visible_within_s,
                stop_requested=self.surroundings.stop_requested,
            )
            for group in inputs.values()
            for upstream in group
        }
        # Two processes cannot write one run of the mirror.
        is_second = assignment.worker or self.surroundings.rank
        tracker = Tracker(None if is_second else assignment.run_name)
        tracker.describe(*(one.artifact.facts for group in inputs.values() for one in group))
        exit_code = 1
        work = Work(
            params=params,
            inputs=inputs,
            attempt=self.folder,
            surroundings=self.surroundings,
            tracker=tracker,
            threads=assignment.threads,
            pins=assignment.pins,
            worker=assignment.worker,
            num_workers=assignment.num_workers,
            versions=library_versions(),
            commit=assignment.commit,
        )
        try:
            shares = 0 < num_gpus < 1 and getattr(params, "share_gpu", False)
            with (
                as_out_of_memory(assignment.kind),
                held_to_part(num_gpus) if shares else nullcontext(),
            ):
                facts = kind.run(work)
            tracker.describe(facts)
            self.gang.of_first(None)  # nothing is published before all ranks are through
            is_published = self.gang.of_first(
                self.surroundings.rank == 0 and self._publish(digests, facts)
            )
            exit_code = 0
            return is_published
        finally:
            tracker.finish(exit_code)  # last: a mirror that is slow keeps no job from being done

    def _inputs(self) -> dict[str, list[GatheredInput]]:
        storage = self.artifact.storage
        return {
            name: [
                GatheredInput(
                    stage=ref.stage,
                    cell=ref.cell,
                    artifact=Artifact(storage, ref.kind, ref.key),
                    values=ref.values,
                )
                for ref in refs
            ]
            for name, refs in self.assignment.inputs.items()
        }

    def _publish(self, digests: Mapping[str, str], facts: dict[str, object]) -> bool:
        """Make this attempt the artifact; False when another one's record exists already."""
        _require_mounted(self.assignment)
        record = Record(
            key=self.artifact.key,
            kind=self.artifact.kind,
            attempt=self.folder.attempt,
            files=self.folder.seal(),
            inputs=digests,
            facts=facts,
            versions=library_versions(),
            commit=self.assignment.commit,
            threads=self.assignment.threads,
            seconds=self._seconds(),
        )
        if self.artifact.storage.create(self.artifact.record_name, record.to_json()):
            return True
        standing = self.artifact.find_record()
        assert standing is not None, "another attempt left an invalid record"
        if standing[0].let_go is None:
            return False
        # In one write: at no moment is there no record, and what read the old one stays its reader.
        self.artifact.storage.write(self.artifact.record_name, record.to_json())
        return True

    def _seconds(self) -> float:
        return round(time.monotonic() - self.started, 3)

    def _company(self) -> str:
        """Describe the threads, and the workers and ranks beside this one."""
        assignment = self.assignment
        among = f", worker {assignment.worker + 1} of at most {assignment.num_workers}"
        shares = assignment.num_workers > 1
        return f"{assignment.threads} threads{among if shares else ''}{self.gang}"

    def _log(self, text: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        sys.stderr.write(f"{now} {self.assignment.label}: {text}\n")


def _unless_taken(fault: Fault, needed: float) -> Fault:
    """Name who holds the GPU beside a job that needs so many bytes (0: nobody knows).

    It is waited for only where the job would fit without them; else another layout is tried.
    """
    taken = taken_by_others()
    if taken is None:
        return fault
    if not taken.is_in_the_way(needed, fault.message):
        return replace(fault, message=redacted(f"{fault.message}; {taken.described}"))
    return Fault(
        code=Code.SURROUNDINGS,
        message=redacted(f"{taken.described}; {fault.message}"),
        fault_class=FaultClass.GPU_TAKEN,
    )


def _require_mounted(assignment: Assignment) -> None:
    if assignment.is_root_marked:
        require_mounted(assignment.artifact.storage)


def _set_arithmetic(threads: int, *, uses_torch: bool) -> None:
    """Set threads and precision alike on every executor: one machine gives one set of bits."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"

    if uses_torch:
        import torch

        torch.set_num_threads(threads)
        # Of a warm worker the job before, of a container its variables may have left TF32, which
        # has 10 bits where differences of models need 23.
        torch.set_float32_matmul_precision("highest")
        # Else a GPU may add the parts of one bf16 product in bf16.
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    # The variable above is read when a library is loaded; a warm worker has loaded numpy's BLAS
    # long ago (left at all cores, extraction of a tiny model took 4.2 s instead of 1.8 s).
    _thread_pools(len(sys.modules)).limit(limits=threads)


@lru_cache(maxsize=1)
def _thread_pools(num_modules: int) -> "ThreadpoolController":
    """Find the libraries with threads that are loaded; again once more modules are."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
