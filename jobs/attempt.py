"""`Attempt`: one rank's part in an attempt that is really made: its log, its kind, its record.

What few jobs need is imported where they need it: each worker would pay for it before its first.
"""

import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from cluster.errors import SurroundingsError, UserError
from cluster.executor import Surroundings
from cluster.fault_classes import FaultClass
from cluster.fault_points import fault_point
from cluster.machine.left_over_variables import require_own_precision
from cluster.redaction.redactor import redacted
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.job import OWN_CODE
from jobs.kind import KINDS, Kind
from jobs.liveness.beating import beating
from jobs.liveness.heartbeat import Phase
from jobs.liveness.pulse import Pulse
from jobs.params import Params, marked
from jobs.worker.absence import ABSENT, absence_of_inputs, present
from jobs.worker.answer import Answer, Fault, State
from jobs.worker.arithmetic import set_arithmetic
from jobs.worker.assignment import Assignment
from jobs.worker.attempt_folder import AttemptFolder, log_name
from jobs.worker.batch import turn_of
from jobs.worker.evidence import evidence_of
from jobs.worker.gang import Gang
from jobs.worker.gpu_room import held_to_part, unless_taken
from jobs.worker.half_imported import remember_half_imported, require_whole_imports
from jobs.worker.host_memory import host_peak_bytes, reset_host_peak
from jobs.worker.injected_faults import injector_of
from jobs.worker.logs import add_to_log, captured
from jobs.worker.mounted_root import require_mounted
from jobs.worker.out_of_memory import as_out_of_memory
from jobs.worker.returned_facts import checked_facts
from jobs.worker.stop_signals import ended_by_interrupts
from jobs.worker.tracking import Tracker
from jobs.worker.versions import library_versions
from jobs.worker.visible_records import digest_of_input
from jobs.worker.whose_fault import class_of, is_of_host
from jobs.worker.work import GatheredInput, Stopped, Work

_MAY_BE_OF_ROOT = (FaultClass.PROGRAM, FaultClass.UNKNOWN, FaultClass.MISTAKE)
"""Classes that an error is first given where a root that went away has caused it."""


class Attempt:
    """This rank's part in an attempt that is really made."""

    def __init__(
        self,
        assignment: Assignment,
        surroundings: Surroundings,
        gang: Gang,
        *,
        publishes_later: bool,
    ) -> None:
        self.assignment, self.surroundings, self.gang = assignment, surroundings, gang
        self.artifact = assignment.artifact
        self.folder = AttemptFolder(self.artifact, assignment.attempt)
        has_gpus = float(assignment.params.get("num_gpus") or 0) > 0
        self.pulse = Pulse(surroundings.rank, has_gpus=has_gpus)
        self.injector = injector_of(assignment, surroundings)
        self.alive = ExitStack()
        """Its heartbeats, while the work is still to be published: the disk may be slow."""
        self.started = time.monotonic()
        self._log_name = log_name(surroundings.rank)
        self._publishes_later = publishes_later
        self._unpublished: tuple[Mapping[str, str], dict[str, object]] | None = None
        self._worked_s: float | None = None
        self._peak_gb: float | None = None
        self._evidence: Mapping[str, object] = {}

    def answer(self) -> Answer | None:
        """Run the job; return the first rank's answer, or this one's where it failed here.

        None where the work is done and `publish` is still to be called.
        """
        answer = self._run_with_log()
        if answer is None or answer.state is State.FAILED:
            return answer
        agreed = self.gang.of_first(answer)
        assert isinstance(agreed, Answer), f"this rank ended with {answer}, the first goes on"
        return agreed

    def publish(self) -> Answer:
        """Publish what `answer` left; from any thread, while other jobs run in this process."""
        assert self._unpublished is not None, "nothing is left to be published"
        words = ""
        try:
            state, fault = _published(self._publish(*self._unpublished)), None
        except Exception as error:  # the boundary
            words = redacted(traceback.format_exc())
            state, fault = State.FAILED, self._fault(error)
        add_to_log(self.folder.path / self._log_name, words + self._line(state))
        return self._end(state, fault)

    def _run_with_log(self) -> Answer | None:
        """Run the job and turn whatever it raises into an answer and a log."""
        state: State | None
        fault, is_own = None, self.surroundings.is_own_process
        if is_own:
            reset_host_peak()
        node, log = self.surroundings.node, self.folder.path / self._log_name
        way = self.folder.way_to_root
        takes_turn = self._publishes_later and way is None
        with (
            ExitStack() as alive,
            captured(log, whole_process=is_own, way=way, takes_turn=takes_turn),
        ):
            alive.enter_context(beating(self.pulse, self.artifact.storage, self.folder.name, node))
            sys.stderr.write(self._line(f"attempt {self.assignment.attempt}, {self._company()}"))
            try:
                fault_point("attempt")
                with self._hub_offline(), self._own_entries():
                    state = self._run_kind()
            except Stopped:
                state = State.STOPPED
            except KeyboardInterrupt:
                state = State.INTERRUPTED
            except (Exception, SystemExit) as error:  # the boundary; a library may end its process
                traceback.print_exc(file=sys.stderr)
                # An interrupt that meets a library's import or callback becomes an error of its.
                is_stop = self.surroundings.stop_requested() and not isinstance(error, UserError)
                state, fault = (
                    (State.INTERRUPTED, None) if is_stop else (State.FAILED, self._fault(error))
                )
            if state is None:
                self.alive, self._worked_s = alive.pop_all(), self._seconds()
            else:
                sys.stderr.write(self._line(state))
        self._peak_gb = round(host_peak_bytes() / 1e9, 3) if is_own else None
        return None if state is None else self._end(state, fault)

    def _end(self, state: State, fault: Fault | None) -> Answer:
        """Bring the log to a remote root, and say how the attempt ended."""
        if not self.artifact.storage.is_local:
            self.folder.publish(self._log_name)
            self.folder.discard_scratch()
        seconds, worked_s = self._seconds(), self._worked_s
        return Answer(
            state=state,
            seconds=seconds,
            turn_s=None if worked_s is None else turn_of(worked_s, seconds),
            fault=fault,
            node=self.surroundings.node if fault else None,
            peak_gb=self._peak_gb,
            evidence=self._evidence,
        )

    def _fault(self, error: Exception | SystemExit) -> Fault:
        """Say what an error is, and keep what is known of it before the job's memory is freed."""
        error = self._error_of_root(error)
        self._evidence = evidence_of(error, self.surroundings, self.pulse)
        from jobs.entries.own_entries import line_of

        remember_half_imported(error)
        own = line_of(error)
        used = [name for name in self.assignment.pins if name.startswith(OWN_CODE)]
        fault = Fault.of(error, f"entries/{own}" if own else None, used)
        whole_gpus = float(self.assignment.params.get("num_gpus") or 0) >= 1
        if fault.fault_class is not FaultClass.OUT_OF_MEMORY or not whole_gpus:
            return fault
        needed = max(self.assignment.peak_memory_gb * 1e9, getattr(error, "needed_bytes", 0.0))
        try:
            return fault if is_of_host(error) else unless_taken(fault, needed)
        except Exception:  # a look around that fails must not lose the answer
            traceback.print_exc(file=sys.stderr)
            return fault

    def _error_of_root(self, error: Exception | SystemExit) -> Exception | SystemExit:
        """Return the fault that the root is gone, where it is; else the error itself.

        A job whose files vanish may end with anything: libraries raise errors of their own, and
        ours take a folder without its files for a mistake. A true mistake comes again.
        """
        if class_of(error) in _MAY_BE_OF_ROOT:
            try:
                require_marked(self.assignment)
            except SurroundingsError as away:
                return away
        return error

    def _run_kind(self) -> State | None:
        """Run the kind on its inputs and publish; None where it is to be published later."""
        assignment = self.assignment
        kind = KINDS.find(assignment.kind)
        if kind.USES_TORCH:
            require_whole_imports()
        set_arithmetic(assignment.threads, uses_torch=kind.USES_TORCH)
        params = self._with_local_data(kind.Params(**assignment.params))
        if getattr(params, "num_gpus", None):
            require_own_precision()
        inputs = self._inputs()
        digests = self._digests_of(inputs)
        # Two processes cannot write one run of the mirror.
        is_second = assignment.worker or self.surroundings.rank
        tracker = Tracker(None if is_second else assignment.run_name)
        tracker.describe(*(one.artifact.facts for group in inputs.values() for one in group))
        exit_code = 1
        work = Work(
            params=params,
            inputs=present(inputs, kind.spares(params)),
            attempt=self.folder,
            surroundings=self.surroundings,
            tracker=tracker,
            threads=assignment.threads,
            pins=assignment.pins,
            worker=assignment.worker,
            num_workers=assignment.num_workers,
            versions=library_versions(),
            commit=assignment.commit,
            pulse=self.pulse,
        )
        self.pulse.enter(Phase.WORKING)
        try:
            facts = self._facts_of(kind, work)
            self.pulse.enter(Phase.SAVING)
            tracker.describe(facts)
            self.gang.of_first(None)  # nothing is published before all ranks are through
            if self._publishes_later and not tracker.is_open:
                self._unpublished = digests, facts
                return None
            is_published = self.gang.of_first(
                self.surroundings.rank == 0 and self._publish(digests, facts)
            )
            exit_code = 0
            return _published(is_published)
        finally:
            tracker.finish(exit_code)  # last: a mirror that is slow keeps no job from being done

    def _facts_of(self, kind: Kind[Any], work: Work[Any]) -> dict[str, object]:
        """Do the work; return its facts as the record takes them, or why there was none to do."""
        num_gpus = getattr(work.params, "num_gpus", 0) or 0
        shares = 0 < num_gpus < 1 and getattr(work.params, "share_gpu", False)
        with (
            as_out_of_memory(self.assignment.kind),
            held_to_part(num_gpus) if shares else nullcontext(),
        ):
            absent = None if kind.GATHERS else absence_of_inputs(work)
            with ended_by_interrupts():
                facts: dict[str, object] = kind.run(work) if absent is None else {ABSENT: absent}
        if absent is not None or self.surroundings.rank > 0:
            return facts
        measures = bool(kind.MEASURES) and not kind.GATHERS
        return checked_facts(self.assignment.kind, facts, self.folder.path, measures=measures)

    def _hub_offline(self) -> AbstractContextManager[None]:
        """Keep the kind from asking the hub, where it finds everything in the root."""
        if not self.assignment.is_hub_offline:
            return nullcontext()
        from jobs.hub.offline import hub_offline

        return hub_offline()

    def _own_entries(self) -> AbstractContextManager[None]:
        """Let the kind find the entries of the study's own that its key names."""
        sent, pins = self.assignment.own_code, self.assignment.pins
        if not sent and not any(name.startswith(OWN_CODE) for name in pins):
            return nullcontext()
        from jobs.entries.own_entries import received

        return received(sent, pins).bringing()

    def _with_local_data(self, params: Params) -> Params:
        """Return params with data of the hub as paths of this machine.

        Raises:
            UserError: data are not those that the job's key names.
        """
        names = marked(type(params), "path")
        if not names:
            return params
        from jobs.sources.path_digests import require_planned
        from jobs.text.hub_data import with_local_data

        here = with_local_data(params, self.artifact.storage)
        for name in names:
            require_planned(getattr(here, name), self.assignment.identity_params.get(name))
        return here

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

    def _digests_of(self, inputs: Mapping[str, Sequence[GatheredInput]]) -> dict[str, str]:
        """Return key -> content digest of every input, each waited for until it can be seen."""
        return {
            upstream.artifact.key: digest_of_input(
                upstream.artifact,
                within_s=self.assignment.visible_within_s,
                stop_requested=self.surroundings.stop_requested,
            )
            for group in inputs.values()
            for upstream in group
        }

    def _publish(self, digests: Mapping[str, str], facts: dict[str, object]) -> bool:
        """Make this attempt the artifact; False when another one's record exists already."""
        require_marked(self.assignment)
        fault_point("publish")
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
            fault_point("published")
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
        threads = "1 thread" if assignment.threads == 1 else f"{assignment.threads} threads"
        return f"{threads}{among if shares else ''}{self.gang}"

    def _line(self, text: str | State) -> str:
        if isinstance(text, State):
            text = f"{text.value} after {self._seconds():.1f} s"
        return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self.assignment.label}: {text}\n"


def _published(is_published: bool) -> State:
    return State.DONE if is_published else State.REUSED


def require_marked(assignment: Assignment) -> None:
    """Check that the root is there, where the launch has marked it."""
    if assignment.is_root_marked:
        require_mounted(assignment.artifact.storage)
