"""`DecidedPlan`: a study's plan and the decision for each job, as its root stands now.

Every verb that looks at a study makes one of these, once. Writes nothing, runs nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cached_property
from pathlib import Path

from cluster.errors import UserError
from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.artifacts.job import Job
from orchestrator.fetching.needs import note_places
from orchestrator.plan.decisions import RUNS, Decision, JobDecision, decide_jobs
from orchestrator.plan.launched_data import changed_data
from orchestrator.plan.launched_plan import LaunchedPlan
from orchestrator.plan.own_code import own_entries_of
from orchestrator.plan.plan import Plan, is_current, make_plan
from orchestrator.plan.prepared import read_params
from orchestrator.plan.revisions import known_revisions, require_revisions
from orchestrator.plan.stage_params import OutsideData
from orchestrator.plan.study_folder import launched_from, open_study
from orchestrator.records.history import History, read_history
from orchestrator.records.launched_studies import known_studies
from orchestrator.study.study import Study, load_study
from orchestrator.text import changed_data_in_words, first_line


@dataclass(frozen=True, kw_only=True)
class DecidedPlan:
    """A plan, and a decision for each of its jobs."""

    plan: Plan
    """The jobs."""
    decisions: Sequence[JobDecision]
    """One decision for each job, in the plan's order."""
    history: History
    """What the ledger says of earlier launches."""

    @cached_property
    def by_key(self) -> Mapping[str, JobDecision]:
        """Key of a job -> its decision."""
        return {decision.job.key: decision for decision in self.decisions}

    def keys(self, *outcomes: Decision) -> set[str]:
        """Return the keys of the jobs so decided."""
        return {decision.job.key for decision in self.decisions if decision.decision in outcomes}

    @property
    def to_run(self) -> list[JobDecision]:
        """What a launch would run."""
        return [decision for decision in self.decisions if decision.decision in RUNS]


def find_study(root: Storage, text: str) -> Study:
    """Find the study that STUDY names: a file, or a study known in the root. Raises UserError."""
    path = Path(text)
    try:
        is_file = path.is_file()
    except OSError as error:  # longer than a path can be, or in a folder that may not be read
        raise UserError(
            f"{text[:100]!r} names no study: {error.strerror}", where="STUDY", code="unknown-study"
        ) from None
    if is_file or path.suffix in (".yaml", ".yml") or "/" in text:
        if not is_file:
            allowed = [*known_studies(root), *_study_files(path.parent)]
            near = get_close_matches(text, allowed, n=1)
            raise UserError(
                f"there is no study file {text!r}",
                where=str(Path.cwd()),
                allowed=allowed,
                hint=f"did you mean {near[0]!r}?"
                if near
                else "`deltascale new` writes one to start from",
                code="unknown-study",
            )
        return load_study(path)
    study = open_study(root, text)
    if study.name != text:
        raise UserError(
            f"studies/{text} holds a copy of the study {study.name!r}, and is no study of its own",
            where=root.url,
            hint=f"the study is {study.name!r}; for another one launch a file with another "
            "`study:`, and a copy is best kept outside of the root",
            code="unknown-study",
        )
    return study


class Purpose(Enum):
    """What a study is planned for, which decides what planning needs from outside the root."""

    LAUNCH = "launch"
    """To run it: its data and models must be here."""
    FORECAST = "forecast"
    """To say what would run: absent data leave keys open, unless a launch recorded them."""
    ASK = "ask"
    """To look at what was launched: what a launch recorded is enough, whatever became of its data.
    A text that was not launched is planned from its data."""


def plan_study(
    root: Storage, study: Study, earlier: Plan | None = None, *, purpose: Purpose = Purpose.LAUNCH
) -> Plan:
    """Plan a study with the revisions that the root remembers. Reads neither records nor ledger.

    An earlier plan is returned as it is where text, revisions and files are those it was made from.
    """
    revisions = known_revisions(root)
    own = own_entries_of(study, root, is_asked=purpose is Purpose.ASK)
    own.bring()
    if (
        earlier is not None
        and earlier.own.is_same(own)
        and earlier.study.file.text == study.file.text
        and earlier.study.folder == study.folder
        and is_current(earlier, revisions)
    ):
        return earlier
    if purpose is Purpose.LAUNCH:
        plan = make_plan(study, revisions, OutsideData(root=root), own)
        require_revisions(root, plan.jobs)
        note_places(root, plan.jobs, revisions)
        return plan
    is_asked = purpose is Purpose.ASK
    outside = OutsideData(
        recorded=read_params(root, study),
        is_recorded_enough=is_asked,
        may_be_absent=not is_asked,
        root=root,
    )
    plan = make_plan(study, revisions, outside, own)
    if not is_asked:
        note_places(root, plan.jobs, revisions)
    return plan


def data_changed_since(root: Storage, study: Study) -> list[str]:
    """Return files and folders with other bytes now than when the study was launched.

    What was launched is shown all the same. Of another text, or of a copy elsewhere, nothing is.
    """
    place = launched_from(root, study.name)
    if study.recorded_in is None and (place is None or place.parent != study.folder):
        return []
    recorded = read_params(root, study)
    return [] if recorded is None else changed_data(recorded.data)


def notes_on_asking(root: Storage, plan: Plan) -> Iterator[str]:
    """Yield what somebody who looks at a launched study should know of it."""
    if plan.own.note is not None:
        yield plan.own.note
    if changed := data_changed_since(root, plan.study):
        yield changed_data_in_words(changed, plan.study.name)


def jobs_meant(root: Storage, study: Study, running: LaunchedPlan | None) -> Sequence[Job]:
    """Return the jobs that a request may mean: of the launch that runs, else of the study.

    Args:
        root: the output root.
        study: the study; its text may have been edited since the launch began.
        running: the plan of the launch that runs; None where none does.
    """
    if running is not None:
        return running.jobs
    return plan_study(root, study, purpose=Purpose.ASK).jobs


def decide_plan(
    root: Storage,
    study: Study,
    *,
    purpose: Purpose = Purpose.ASK,
    machines: Sequence[Resources] | None = None,
) -> DecidedPlan:
    """Plan a study and decide every job: one plan, and the ledger read once.

    Args:
        root: the output root.
        study: the study.
        purpose: what the plan is for; by default to look at what was launched.
        machines: nodes to plan for; None leaves open where the jobs will run.
    """
    history = read_history(root, study.name)
    plan = plan_study(root, study, purpose=purpose)
    return decide(plan, root, history, machines=machines)


def decide(
    plan: Plan,
    root: Storage,
    history: History,
    *,
    fresh: bool = False,
    machines: Sequence[Resources] | None = None,
) -> DecidedPlan:
    """Decide every job of a plan from the records as they are now, and from a ledger read before.

    Args:
        plan: the jobs.
        root: the output root.
        history: what the ledger says of earlier launches.
        fresh: forgive earlier failures (`resume`).
        machines: nodes to plan for; None leaves open where the jobs will run.
    """
    failed = {
        key: f"failed: {first_line(past.message)}"
        for key, past in history.jobs.items()
        if past.given_up and not fresh
    }
    with plan.own.bringing():
        decisions = decide_jobs(plan, root, failed, machines=machines, past=history)
    return DecidedPlan(plan=plan, decisions=decisions, history=history)


def _study_files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.yaml")) if folder.is_dir() else []
