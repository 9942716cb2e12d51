"""The measurements of one or several studies, in one root or several, as one comparison.

STUDY is a file, the name of a study in the root, or either behind another root: `ROOT::STUDY`.
With more than one, the axis `study` tells them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.plan.decided_plan import DecidedPlan, decide_plan, find_study
from orchestrator.views.study_views import comparisons, sources, view_params

if TYPE_CHECKING:
    from jobs.comparing.comparison import Comparison
    from jobs.comparing.gathering import Source
    from jobs.comparing.view import View

AXIS = "study"


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The measurements of all studies, and the view that shows them."""

    comparison: "Comparison"
    """The measurements."""
    view: "View"
    """The first study's view, with the options of the user in place of its own."""
    roots: Sequence[Storage]
    """Roots that hold the artifacts."""
    notes: Sequence[str] = ()
    """What the reader should know of the studies."""


def gather_studies(root: Storage, texts: Sequence[str], chosen: Mapping[str, object]) -> Gathered:
    """Gather the measurements of the comparisons of all studies.

    Raises UserError where a study does not exist or has no comparison, or an option is wrong.
    """
    from jobs.comparing.gathering import collect

    roots: dict[str, Storage] = {}
    studies: list[tuple[str, Storage, DecidedPlan]] = []
    for text in texts:
        place, _, name = text.rpartition("::")
        study_root = Storage(place) if place else root
        study_root = roots.setdefault(study_root.url, study_root)
        decided = decide_plan(study_root, find_study(study_root, name))
        studies.append((text, study_root, decided))
    unique = {(source.stage, tuple(source.cell.items())): source for source in _sources(studies)}
    first = comparisons(studies[0][2])[0]
    return Gathered(
        view=_view(view_params(first, chosen)),
        comparison=collect(list(unique.values())),
        roots=list(roots.values()),
        notes=[
            f"{text}: {note}"
            for text, _, decided in studies
            if (note := decided.plan.own.note) is not None
        ],
    )


def _sources(studies: "Sequence[tuple[str, Storage, DecidedPlan]]") -> "list[Source]":
    names = [decided.plan.study.name for _, _, decided in studies]
    gathered = []
    for text, root, decided in studies:
        jobs, name = comparisons(decided), decided.plan.study.name
        if not jobs:
            raise UserError(f"the study {name!r} has no stage of kind compare", where=text)
        # Two roots may hold studies of one name: then each is named as the user wrote it.
        label = name if names.count(name) == 1 else text
        for source in (source for job in jobs for source in sources(root, decided, job)):
            gathered.append(_with_study(source, label, text) if len(studies) > 1 else source)
    return gathered


def _with_study(source: "Source", name: str, text: str) -> "Source":
    if AXIS in source.cell:
        raise UserError(
            f"a study with an axis {AXIS!r} of its own cannot be compared with others", where=text
        )
    return replace(source, cell={**source.cell, AXIS: name})


def _view(params: Mapping[str, object]) -> "View":
    from pydantic import ValidationError

    from jobs.comparing.view import View

    try:
        return View(**params)
    except ValidationError as fault:
        wrong = fault.errors()[0]
        where = f"--{'-'.join(str(part) for part in wrong['loc'])}"
        raise UserError(str(wrong["msg"]), where=where) from fault
