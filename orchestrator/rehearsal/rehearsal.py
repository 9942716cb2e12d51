"""Runs a study whole and small, in a root of its own, by the same launch; says what it found."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from cluster.errors import UserError
from cluster.executor import Executor
from cluster.machine.set_variables import variables_set
from cluster.storage import Storage
from jobs.entries.own_entries import apart
from jobs.rehearsal import FEW
from jobs.stand_ins.prepared_stand_ins import PreparedStandIns
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.plan.decided_plan import plan_study
from orchestrator.rehearsal.judgement import faults_of, notes_of, outcomes
from orchestrator.rehearsal.memorising import with_memorising
from orchestrator.rehearsal.rehearsal_folder import RehearsalFolder, rehearsal_folder
from orchestrator.rehearsal.report import RehearsalReport
from orchestrator.rehearsal.small_study import SmallStudy, names_layers, small_study, texts_of
from orchestrator.study.expressions import data_folder
from orchestrator.study.study import Study

_NOTHING_LEAVES = {"WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"}
"""Variables with which nothing is fetched, pushed or mirrored."""
_NEVER = (
    "real weights: what trained models say, and what 16 bits do to them",
    "GPU kernels, GPU memory (`plan` forecasts it) and several processes of one training",
    "the hub: access to gated models, and downloads (`fetch`)",
)
"""What no rehearsal shows."""


@apart()
def rehearse(
    study: Study,
    folder: Path,
    *,
    executor: Executor,
    executor_name: str,
    progress: Callable[[Storage], AbstractContextManager[Watcher]],
    warn: Callable[[str], None],
) -> RehearsalReport:
    """Rehearse a study.

    Args:
        study: the study.
        folder: where the rehearsal's root and its stand-ins lie; kept where something would fail.
        executor: where its jobs run.
        executor_name: its name, for the ledger.
        progress: opens the watcher of its launch.
        warn: takes notes for the user.

    Returns:
        What it found. Nothing is left in the folder where all held.

    Raises:
        UserError: the study cannot be planned, and the message names file and line; or something
            is in the folder that no rehearsal made.
        SurroundingsError: the folder cannot be written.
    """
    with rehearsal_folder(folder) as place:
        report = _rehearse(study, place, executor, executor_name, progress, warn)
        if not report.is_held:
            return report
        place.remove()
        return replace(report, kept=None)


def _rehearse(
    study: Study,
    place: RehearsalFolder,
    executor: Executor,
    executor_name: str,
    progress: Callable[[Storage], AbstractContextManager[Watcher]],
    warn: Callable[[str], None],
) -> RehearsalReport:
    began, used = time.monotonic(), _processor_seconds()
    root = Storage(str(place.root))
    stand_ins = PreparedStandIns(
        folder=place.stand_ins,
        keeps_layers=names_layers(study),
        most_ranks=1 if executor_name == "local" else 2,
        texts=texts_of(study, data_folder()),
    )
    with variables_set(_NOTHING_LEAVES):
        small = small_study(study, stand_ins)
        if not small.study.stages:
            raise UserError("no stage of the study can be rehearsed", where=study.where("stages"))
        plan = plan_study(root, small.study)
        with plan.own.bringing():
            small = with_memorising(small, plan)
        launched = launch(
            root,
            small.study,
            executor=executor,
            executor_name=executor_name,
            progress=lambda: progress(root),
            fresh=True,
            warn=warn,
        )
        with launched.decided.plan.own.bringing():
            faults = list(faults_of(root, launched))
            notes = list(notes_of(root, launched))
    stages = list(outcomes(small, study, launched, faults))
    return RehearsalReport(
        study=study.name,
        stages=stages,
        faults=faults,
        notes=notes,
        open=[*stand_ins.open, *_NEVER],
        sizes=list(_sizes(small)),
        seconds=time.monotonic() - began,
        processor_seconds=_processor_seconds() - used,
        stopped=launched.exit_code if launched.exit_code not in (0, 1) else None,
        kept=str(place.root),
    )


def _sizes(small: SmallStudy) -> Iterator[str]:
    yield (
        f"at most {FEW} prompts, pairs and texts of each source; 12 steps of training; "
        "models 32 wide"
    )
    for axis, (kept, number) in small.thinned.items():
        yield f"{kept} of {number} values of the axis {axis!r}"


def _processor_seconds() -> float:
    """Return the processor time of this process and of its ended children, in seconds."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(one) for one in who]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
