"""The measurements of one or several studies, in one root or several, as one comparison.

STUDY is a file, the name of a study in the root, or either behind another root: `ROOT::STUDY`.
With more than one, the axis `study` tells them apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.plan.decided_plan import DecidedPlan, decide_plan, find_study, notes_on_asking
from orchestrator.views.study_views import comparisons, sources, view_params

if TYPE_CHECKING:
    from jobs.comparing.comparison import Comparison
    from jobs.comparing.sources import Source
    from jobs.comparing.view import View

AXIS = "study"


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """The measurements of all studies, and the view that shows them."""

    comparison: "Comparison"
    """The measurements."""
    view: "View"
    """The first study's view, with the options of the user in place of its own, and every study's
    title."""
    own: "View"
    """The first study's view as it stands in the study."""
    roots: Sequence[Storage]
    """Roots that hold the artifacts."""
    notes: Sequence[str] = ()
    """What the reader should know of the studies."""


def gather_studies(root: Storage, texts: Sequence[str], chosen: Mapping[str, object]) -> Gathered:
    """Gather the measurements of the comparisons of all studies.

    Raises UserError where a study does not exist or has no comparison, or an option is wrong.
    """
    from jobs.comparing.equal_dose import at_doses
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
    views = {text: _view(comparisons(decided)[0].params, None) for text, _, decided in studies}
    titles = dict.fromkeys(each.title for each in views.values())
    view = _chosen_view(view_params(first, chosen) | {"title": "; ".join(titles)}, chosen)
    if chosen.get("at") and not any(_has_snapshots(decided) for _, _, decided in studies):
        raise UserError(
            "no stage of kind snapshot: nothing was kept on the way of a training, so that no "
            "number can be read at a dose",
            where="--at",
            hint="give `align` the param snapshots, and add a stage of kind snapshot "
            "(docs/howto/dose.md)",
        )
    return Gathered(
        view=view,
        own=_view(first.params, None),
        comparison=at_doses(collect(list(unique.values()), view.seeds), view),
        roots=list(roots.values()),
        notes=[
            *(
                f"{text}: {note}"
                for text, study_root, decided in studies
                for note in notes_on_asking(study_root, decided.plan)
            ),
            *_notes_on_views(views, chosen),
        ],
    )


_OF_ITS_OWN = ("title", "figures")
"""Params of a view that change no number of another study's."""


def _notes_on_views(views: "Mapping[str, View]", chosen: Mapping[str, object]) -> Iterator[str]:
    """Say which studies would show something else by themselves: the first one's view holds."""
    (first, shown), *others = views.items()
    names = [
        name
        for name in type(shown).model_fields
        if name not in _OF_ITS_OWN and chosen.get(name) is None
    ]
    for text, own in others:
        otherwise = [name for name in names if getattr(own, name) != getattr(shown, name)]
        if otherwise:
            here, there = (
                "; ".join(f"{name}: {_in_words(getattr(view, name))}" for name in otherwise)
                for view in (shown, own)
            )
            yield f"all is shown as {first} says ({here}), not as {text} does by itself ({there})"


def _in_words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_in_words(each)}" for name, each in value.items()) or "all"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "as measured" if value is None else str(value)


def _has_snapshots(decided: DecidedPlan) -> bool:
    from jobs.comparing.planned_doses import opens_snapshots

    return any(opens_snapshots(job.kind) for job in decided.plan.jobs)


def _sources(studies: "Sequence[tuple[str, Storage, DecidedPlan]]") -> "list[Source]":
    from jobs.comparing.telling_apart import OBJECTIVE, with_objectives

    names = [decided.plan.study.name for _, _, decided in studies]
    axes = {axis for _, _, decided in studies for axis in decided.plan.study.axes}
    gathered = []
    for text, root, decided in studies:
        jobs, name = comparisons(decided), decided.plan.study.name
        if not jobs:
            raise UserError(f"the study {name!r} has no stage of kind compare", where=text)
        # Two roots may hold studies of one name: then each is named as the user wrote it.
        label = name if names.count(name) == 1 else text
        own = [source for job in jobs for source in sources(root, decided, job)]
        if OBJECTIVE in axes and OBJECTIVE not in decided.plan.study.axes:
            own = with_objectives(own)
        gathered += [
            _with_study(source, label, text) if len(studies) > 1 else source for source in own
        ]
    return gathered


def _with_study(source: "Source", name: str, text: str) -> "Source":
    if AXIS in source.cell:
        raise UserError(
            f"a study with an axis {AXIS!r} of its own cannot be compared with others", where=text
        )
    return replace(source, cell={**source.cell, AXIS: name})


_OPTIONS = {"metrics": "--metric", "contrasts": "--contrast"}
"""Params of a view whose option has another name."""


def _chosen_view(own: Mapping[str, object], chosen: Mapping[str, object]) -> "View":
    """Return a view with the options of the user; what is wrong is said of the option itself."""
    for name, value in chosen.items():
        if value is not None:
            _view({name: value}, _OPTIONS.get(name, f"--{name}"))
    return _view(own, None)


def _view(params: Mapping[str, object], where: str | None) -> "View":
    from pydantic import ValidationError

    from jobs.comparing.view import View
    from orchestrator.study.pydantic_errors import message_of

    try:
        return View(**params)
    except ValidationError as fault:
        raise UserError(message_of(fault.errors()), where=where) from fault
    except UserError as fault:
        raise fault.at(where) from None
