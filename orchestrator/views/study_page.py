"""The page of a study as it is now: `report.html` beside its tables and figures."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.disk.temp_folders import TempFolder
from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.comparing.tracing import Tracer
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import Decision
from orchestrator.views.study_views import (
    comparisons,
    complete_views,
    refresh_views,
    sources,
    view_name,
)
from orchestrator.views.time_use import time_use

if TYPE_CHECKING:
    from jobs.comparing.reporting.contents import Section

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """A page that was written."""

    place: Path | str
    """Where the page is: a path, or a URL on a remote root."""
    bytes: int
    """Size of the page."""
    cells: int
    """Number of cells of all tables."""
    figures: int
    """Number of figures on the page."""
    artifacts: int
    """Number of artifacts whose origin the page shows."""


def write_page(root: Storage, decided: DecidedPlan, to: Path | None = None) -> StudyPage:
    """Write the page of a study, and views that it shows where they are incomplete.

    Args:
        root: what was measured.
        decided: the study's plan, and what is done of it.
        to: a file for the page, where nothing is to be written into the root.

    Raises:
        UserError: the study compares nothing, or nothing was measured yet.
        SurroundingsError: the root, or `to`, cannot be written to.
    """
    if to is None:
        complete_views(root, decided)
        name = f"studies/{decided.plan.study.name}/{PAGE}"
        return _write_page(root, decided, root, target=root, name=name)
    with TempFolder("report") as scratch:
        views = Storage(scratch)
        refresh_views(root, decided, into=views)
        return _write_page(root, decided, views, target=Storage(to.parent), name=to.name)


def _write_page(
    root: Storage, decided: DecidedPlan, views: Storage, *, target: Storage, name: str
) -> StudyPage:
    """Write the page, with the figures that lie in `views`, under a name in `target`."""
    from jobs.comparing.reporting.contents import Contents, answering
    from jobs.comparing.reporting.page import render

    study = decided.plan.study.name
    jobs = comparisons(decided)
    if not jobs:
        raise UserError(f"the study {study!r} has no stage of kind compare", where=study)
    found = (_section(root, decided, job, views) for job in jobs)
    sections = [section for section in found if section is not None]
    if not sections:
        raise UserError(
            f"nothing of the study {study!r} was measured yet",
            where=root.url,
            hint=f"`deltascale launch {decided.plan.study.words}` runs it",
            code="nothing-measured",
        )
    contents = Contents(
        study=study,
        jobs=_job_counts(decided),
        sections=answering(sections),
        time=time_use(root, decided),
    )
    tracer = Tracer(root)
    contents = contents.with_traces([tracer.trace(key) for key in contents.keys])
    page = render(contents)
    target.write(name, page)
    return StudyPage(
        place=target.path(name) if target.is_local else f"{target.url}/{name}",
        bytes=len(page),
        cells=contents.num_cells,
        figures=sum(len(section.figures) for section in sections),
        artifacts=len({link.key for trace in contents.traces for _, link in trace.walk()}),
    )


def _section(root: Storage, decided: DecidedPlan, job: Job, views: Storage) -> "Section | None":
    from jobs.comparing.answers import answers
    from jobs.comparing.equal_dose import at_doses
    from jobs.comparing.gathering import collect
    from jobs.comparing.reporting.contents import Section
    from jobs.comparing.reporting.page import figure_files
    from jobs.comparing.view import View

    gathered = sources(root, decided, job)
    if not any(source.artifact for source in gathered):
        return None
    view = job.params_as(View)
    comparison = at_doses(collect(gathered, view.seeds), view)
    folder = f"studies/{decided.plan.study.name}/figures/{view_name(job)}"
    pictures = [name for name in views.list(folder) if not name.endswith(".pdf")]
    contrasts = [comparison.contrasts(view)] if view.contrasts else []
    return Section(
        name=view_name(job),
        answers=answers(comparison, view, places=True),
        tables=[comparison.table(view), comparison.scaling(view), *contrasts],
        figures=figure_files({name: views.read(f"{folder}/{name}") for name in pictures}),
    )


def _job_counts(decided: DecidedPlan) -> dict[str, int]:
    """Count the jobs by decision, in words."""
    counts = Counter(job.decision for job in decided.decisions)
    words = {word: "done" if word is Decision.REUSE else word.value for word in Decision}
    return {
        "jobs": sum(counts.values()),
        **{words[word]: counts[word] for word in Decision if counts[word]},
    }
