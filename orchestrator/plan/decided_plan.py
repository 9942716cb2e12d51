"""A study as it stands on a root now: its plan, what became of each job, and what would.

What `plan`, `launch`, `status`, `compare` and the rest start from; makes nothing, runs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import UserError
from cluster.resources import Resources
from cluster.storage import Storage
from orchestrator.plan.decisions import RUNS, Decision, Explained, explain
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.plan.revisions import known_revisions
from orchestrator.plan.study_folder import known_studies, open_study
from orchestrator.records.history import History, gather
from orchestrator.records.ledger import read_events
from orchestrator.study.study import Study, load_study
from orchestrator.text import first_line


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A plan, and a decision for each of its jobs."""

    plan: Plan
    """The jobs."""
    explained: list[Explained]
    """Decision and reason of each, in the plan's order."""
    history: History
    """What the ledger says of earlier launches."""

    def keys(self, *decisions: Decision) -> set[str]:
        """Keys of the jobs so decided."""
        return {each.job.key for each in self.explained if each.decision in decisions}

    @property
    def to_run(self) -> list[Explained]:
        """What a launch would do."""
        return [each for each in self.explained if each.decision in RUNS]


def find_study(root: Storage, text: str) -> Study:
    """The study that STUDY means: a file, or the name of a study known in the root."""
    path = Path(text)
    if path.is_file() or path.suffix in (".yaml", ".yml") or "/" in text:
        if not path.is_file():
            raise UserError(
                f"there is no study file {text!r}",
                where=str(Path.cwd()),
                allowed=[*known_studies(root), *_study_files(path.parent)],
                hint="`deltascale new` writes one to start from",
            )
        return load_study(path)
    return open_study(root, text)


def look(
    root: Storage,
    study: Study,
    *,
    fresh: bool = False,
    known: Mapping[str, str] | None = None,
    machines: Sequence[Resources] | None = None,
) -> Outlook:
    """Plan a study and decide every job.

    Args:
        root: the output root.
        study: the study.
        fresh: forgive earlier failures (`resume`).
        known: revisions resolved so far; those of the root when not given.
        machines: nodes to plan for; None leaves open where the jobs will run.
    """
    plan = make_plan(study, known_revisions(root) if known is None else known)
    history = gather(read_events(root, study.name))
    failed = {
        key: f"failed: {first_line(past.message)}"
        for key, past in history.jobs.items()
        if past.given_up and not fresh
    }
    explained = explain(plan, root, failed, machines=machines, past=history)
    return Outlook(plan=plan, explained=explained, history=history)


def _study_files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.glob("*.yaml")) if folder.is_dir() else []
