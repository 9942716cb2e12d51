"""Every number of a study at one dose, in place of its snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from analysis.dose.clocks import Clocks
from analysis.dose.doses import Dose
from analysis.dose.reading import Reading, step_at_dose
from analysis.dose.trajectories import SNAPSHOT, snapshot_axes, trajectories
from analysis.long_table.circumstances import Circumstances
from analysis.measurement import Measurement, Row


def at_equal_dose(
    rows: Iterable[Row], dose: Dose, *, circumstances: Mapping[str, Circumstances]
) -> list[Measurement]:
    """Read every number of every training at one dose.

    Args:
        rows: the long table, numbers of the base and of the dose itself included; only rows of
            snapshots, those whose circumstances have a step, are read.
        dose: what is held equal.
        circumstances: key of a job -> the circumstances of its measurements.

    Returns:
        A measurement for each number and training, seeds apart; its axis of snapshots is the dose's
        label, its key those of all jobs behind it. Where there is none, its reason says why. Of
        each training also `step_at_dose`.
    """
    rows = list(rows)
    axis = next(iter(snapshot_axes(rows, circumstances)), SNAPSHOT)
    curves = trajectories(rows, circumstances)
    clocks = Clocks.of([curve for curve in curves if curve.metric == dose.metric], dose)
    readings = [
        Reading(trajectory=t, dose=dose, clock=clocks.of_training(t), axis=axis) for t in curves
    ]
    steps: dict[tuple[str, ...], Measurement] = {}
    for reading in readings:
        if reading.trajectory.metric == dose.metric and reading.clock is not None:
            steps.setdefault(reading.clock.trajectory.models, step_at_dose(reading))
    return [*(reading.measurement() for reading in readings), *steps.values()]


def rows_at(
    rows: Sequence[Row], doses: Iterable[Dose], circumstances: Mapping[str, Circumstances]
) -> tuple[list[Row], dict[str, Circumstances]]:
    """Return the rows of a long table at doses, the base's as they are, and their circumstances.

    Rows of aligned models that are no snapshots have no known dose and are left out, but for those
    with which a training with snapshots began: DPO after SFT.
    """
    known = dict(circumstances)
    begun = {about.base for about in known.values() if about.step is not None}

    def is_of_base(about: Circumstances) -> bool:
        is_end = about.alone and not about.midway
        return about.aligned is None or (is_end and about.aligned in begun)

    kept = [row for row in rows if (a := known.get(str(row["key"]))) is not None and is_of_base(a)]
    for dose in doses:
        for at_dose in at_equal_dose(rows, dose, circumstances=circumstances):
            kept.append(at_dose.as_row())
            if at_dose.key is not None:
                known[at_dose.key] = replace(
                    circumstances[at_dose.keys[0]], step=None, midway=False
                )
    return kept, known
