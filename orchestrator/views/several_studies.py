"""What one or several studies measured, under one root or several, as one comparison.

STUDY is a file, a name known in the root, or either behind another root: `ROOT::STUDY`. With more
than one, the axis `study` says which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
    """Measurements of all studies, and how they are shown."""

    comparison: "Comparison"
    """The measurements."""
    view: "View"
    """The first study's view, with what the user chose instead."""
    roots: Sequence[Storage]
    """Where the artifacts are."""


def gather_studies(root: Storage, texts: Sequence[str], chosen: Mapping[str, Any]) -> Gathered:
    """Everything that the studies' comparisons gather.

    Raises UserError where a study is not there, has no comparison, or what was chosen is wrong.
    """
    from jobs.comparing.gathering import collect

    roots: dict[str, Storage] = {}
    found: list[tuple[str, Storage, DecidedPlan]] = []
    for text in texts:
        place, _, name = text.rpartition("::")
        own = Storage(place) if place else root
        own = roots.setdefault(own.url, own)
        found.append((text, own, decide_plan(own, find_study(own, name))))
    unique = {(source.stage, tuple(source.cell.items())): source for source in _sources(found)}
    first = comparisons(found[0][2])[0]
    return Gathered(
        view=_view(view_params(first, chosen)),
        comparison=collect(list(unique.values())),
        roots=list(roots.values()),
    )


def _sources(found: "Sequence[tuple[str, Storage, DecidedPlan]]") -> "list[Source]":
    names = [decided.plan.study.name for _, _, decided in found]
    gathered = []
    for text, root, decided in found:
        jobs, name = comparisons(decided), decided.plan.study.name
        if not jobs:
            raise UserError(f"the study {name!r} has no stage of kind compare", where=text)
        # Two roots may hold a study of one name: then they are told apart as the user does.
        named = name if names.count(name) == 1 else text
        for source in (source for job in jobs for source in sources(root, decided, job)):
            gathered.append(_of_study(source, named, text) if len(found) > 1 else source)
    return gathered


def _of_study(source: "Source", name: str, text: str) -> "Source":
    if AXIS in source.cell:
        raise UserError(
            f"a study with an axis {AXIS!r} of its own cannot be compared with others", where=text
        )
    return replace(source, cell={**source.cell, AXIS: name})


def _view(params: Mapping[str, Any]) -> "View":
    from pydantic import ValidationError

    from jobs.comparing.view import View

    try:
        return View(**params)
    except ValidationError as fault:
        wrong = fault.errors()[0]
        where = f"--{'-'.join(str(part) for part in wrong['loc'])}"
        raise UserError(str(wrong["msg"]), where=where) from fault
