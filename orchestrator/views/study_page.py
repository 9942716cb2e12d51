"""The page of a study: what stands of it now, as `report.html` beside its tables and figures."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.comparing.tracing import Tracer
from orchestrator.plan.decided_plan import DecidedPlan
from orchestrator.plan.decisions import Decision
from orchestrator.views.study_views import comparisons, sources, standing_views, view_name

if TYPE_CHECKING:
    from jobs.comparing.reporting.contents import Section

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """A page that was written."""

    place: Path | str
    """Where it stands: a path, or a URL on a remote root."""
    bytes: int
    """Its size."""
    cells: int
    """Cells of all its tables."""
    figures: int
    """Figures on it."""
    artifacts: int
    """Artifacts whose chains it tells."""


def write_page(root: Storage, decided: DecidedPlan) -> StudyPage:
    """Write the page, and the views it shows where they are not whole.

    Raises:
        UserError: the study compares nothing, or nothing was measured yet.
    """
    from jobs.comparing.reporting.contents import Contents, answering
    from jobs.comparing.reporting.page import render

    study = decided.plan.study.name
    jobs = comparisons(decided)
    if not jobs:
        raise UserError(f"the study {study!r} has no stage of kind compare", where=study)
    standing_views(root, decided)
    sections = [section for job in jobs if (section := _section(root, decided, job)) is not None]
    if not sections:
        raise UserError(
            f"nothing of the study {study!r} was measured yet",
            where=root.url,
            hint=f"`deltascale launch {study}` runs it",
        )
    contents = Contents(study=study, jobs=_standing(decided), sections=answering(sections))
    tracer = Tracer(root)
    contents = contents.with_traces([tracer.trace(key) for key in contents.keys])
    page, name = render(contents), f"studies/{study}/{PAGE}"
    root.write(name, page)
    return StudyPage(
        place=root.path(name) if root.is_local else f"{root.url}/{name}",
        bytes=len(page),
        cells=contents.num_cells,
        figures=sum(len(section.figures) for section in sections),
        artifacts=len({each.key for found in contents.traces for _, each in found.walk()}),
    )


def _section(root: Storage, decided: DecidedPlan, job: Job) -> "Section | None":
    from jobs.comparing.answers import answers
    from jobs.comparing.gathering import collect
    from jobs.comparing.reporting.contents import Section
    from jobs.comparing.reporting.page import figure_files
    from jobs.comparing.view import View

    found = sources(root, decided, job)
    if not any(source.artifact for source in found):
        return None
    comparison, view = collect(found), job.params_as(View)
    folder = f"studies/{decided.plan.study.name}/figures/{view_name(job)}"
    shown = [name for name in root.list(folder) if not name.endswith(".pdf")]
    return Section(
        name=view_name(job),
        answers=answers(comparison, view),
        tables=[comparison.table(view), comparison.scaling(view)],
        figures=figure_files({name: root.read(f"{folder}/{name}") for name in shown}),
    )


def _standing(decided: DecidedPlan) -> dict[str, int]:
    """What became of the jobs, in words."""
    found = Counter(each.decision for each in decided.decisions)
    told = {"done" if each is Decision.REUSE else each.value: found[each] for each in Decision}
    return {
        "jobs": sum(found.values()),
        **{words: number for words, number in told.items() if number},
    }
