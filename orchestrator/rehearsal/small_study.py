"""The study that is rehearsed: the user's own, with few values of long axes and small params.

The file stays as it is, and faults name its lines. Params are made small cell by cell, while the
study is planned (`Study.in_small`), each by its own kind.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobs.kind import KINDS
from jobs.stand_ins.prepared_stand_ins import PreparedStandIns
from orchestrator.study.study import Axis, InSmall, Stage, Study

MEMORISES = "-memorises"
"""End of the name of a stage that is added, whose jobs must learn a few examples by heart."""
_MOST_NUMBERS = 2
"""Values that are kept of an axis of numbers, beside those that the study names."""


@dataclass(frozen=True, kw_only=True)
class SmallStudy:
    """What is rehearsed of a study."""

    study: Study
    """The study, made small."""
    left_out: Mapping[str, str]
    """Stage that is not rehearsed -> why."""
    thinned: Mapping[str, tuple[int, int]]
    """Axis -> how many of its values are rehearsed, and how many it has."""


def small_study(study: Study, stand_ins: PreparedStandIns) -> SmallStudy:
    """Return what is rehearsed of a study.

    Args:
        study: the study.
        stand_ins: what stands in for its models and data.
    """
    left_out = _left_out(study)
    axes = {name: _thinned(axis, study) for name, axis in study.axes.items()}
    stages = {
        name: _without(stage, left_out, axes)
        for name, stage in study.stages.items()
        if name not in left_out
    }
    small = replace(study, axes=axes, stages=stages, in_small=None)
    thinned = {
        name: (len(axis.values), len(study.axes[name].values))
        for name, axis in axes.items()
        if len(axis.values) < len(study.axes[name].values)
    }
    return SmallStudy(
        study=replace(small, in_small=_in_small(small, stand_ins)),
        left_out=left_out,
        thinned=thinned,
    )


def _in_small(study: Study, stand_ins: PreparedStandIns) -> InSmall:
    def in_small(
        stage: str, written: Mapping[str, Any], is_absent: Callable[[str], bool]
    ) -> dict[str, Any]:
        stand_ins.is_absent = is_absent
        kind = KINDS.find(study.stages[stage.removesuffix(MEMORISES)].kind)
        small = kind.in_small(written, stand_ins)
        return (kind.memorising(small) or small) if stage.endswith(MEMORISES) else small

    return in_small


def _left_out(study: Study) -> dict[str, str]:
    """Map each stage that cannot be rehearsed, or needs one that cannot, to the reason."""
    reasons: dict[str, str] = {}
    for name, stage in study.stages.items():
        kind = KINDS.get(stage.kind) if stage.kind in KINDS.names() else None
        if kind is not None and kind.NOT_REHEARSED:
            reasons[name] = kind.NOT_REHEARSED
    changed = True
    while changed:
        changed = False
        for name, stage in study.stages.items():
            lacking = [source.stage for source in stage.inputs.values() if source.stage in reasons]
            lacking = lacking or (
                list(stage.gather) if stage.gather and set(stage.gather) <= reasons.keys() else []
            )
            if name not in reasons and lacking:
                reasons[name] = f"it needs {lacking[0]!r}"
                changed = True
    return reasons


def _thinned(axis: Axis, study: Study) -> Axis:
    """Return an axis of numbers with a few of its values: no other code runs for the others."""
    values = list(axis.values.items())
    if not all(isinstance(value, (int, float)) for _, value in values):
        return axis
    kept = {name for name, _ in values[:_MOST_NUMBERS]}
    for accepted in _accepted(axis.name, study):
        if not kept & accepted:
            kept.add(next(name for name, _ in values if name in accepted))
    return replace(axis, values={name: value for name, value in values if name in kept})


def _accepted(axis: str, study: Study) -> Iterator[frozenset[str]]:
    """Yield the values of an axis that a selector of some stage accepts, of which one must stay."""
    for stage in study.stages.values():
        for pick in stage.where:
            if axis in pick:
                yield pick[axis]
        for source in stage.inputs.values():
            if axis in source.pins:
                yield frozenset({source.pins[axis]})


def _without(stage: Stage, left_out: Iterable[str], axes: Mapping[str, Axis]) -> Stage:
    """Return a stage that names no stage and no value that is left out."""
    where = tuple(
        {axis: frozenset(pick[axis] & axes[axis].values.keys()) for axis in pick}
        for pick in stage.where
    )
    gather = tuple(name for name in stage.gather if name not in left_out)
    return replace(stage, where=where, gather=gather)


def names_layers(study: Study) -> bool:
    """Tell whether params of a stage name layers by number, so that models must keep theirs."""
    found = [stage.params.get("layers") for stage in study.stages.values()]
    return any(not (value is None or value == "all") for value in found)


def texts_of(study: Study, data: str | None) -> Callable[[], Iterator[Path]]:
    """Return a function that lists the files and folders of data which the study's file names.

    Args:
        study: the study.
        data: the data folder; None where the environment names none.
    """

    def listed() -> Iterator[Path]:
        for text in dict.fromkeys(_strings(study.file.data)):
            name = text.replace("${DELTASCALE_DATA}", data or "")
            if "${" in name or "://" in name or "\n" in name or len(name) > 1000:
                continue
            for folder in (study.folder, *([Path(data)] if data else [])):
                path = folder / name
                if ("/" in name or path.suffix) and path.exists() and path != folder:
                    yield path

    return listed


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
