"""What every kind which measures leaves: a file of measurements, and their curves in the mirror."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.measurement import Measurement, Role, with_role
from jobs.worker.tracking import Tracker

FILE = "measurements.parquet"


def write_measurements(
    folder: Path,
    measurements: Iterable[Measurement],
    model: Mapping[str, object],
    axes: Sequence[str] = (),
) -> dict[str, int]:
    """Write the measurements of one job; return how many there are of each status.

    A model's name and the job's key are added when jobs are gathered; so is the job's cell.

    Args:
        folder: of the job.
        measurements: what was measured.
        model: facts of the model; those that are fields of a measurement are written.
        axes: axes that the job swept itself.
    """
    from analysis.long_table.columns import to_table
    from analysis.long_table.files import to_parquet

    names = [name for name in with_role(Role.MODEL, Role.SIZE) if name in model]
    facts = {name: model[name] for name in names if name != "model"}
    complete = [replace(row, **facts) for row in measurements]  # type: ignore[arg-type]
    table = to_table([row.as_row() for row in complete], axes).drop_columns(["model", "key"])
    (folder / FILE).write_bytes(to_parquet(table))
    return dict(sorted(Counter(row.status.value for row in complete).items()))


def log_curves(
    tracker: Tracker,
    measurements: Iterable[Measurement],
    point_of: Callable[[Measurement], tuple[str, float, str] | None],
) -> None:
    """Log every value as a point of a curve.

    Args:
        tracker: of the job.
        measurements: what was measured.
        point_of: returns axis, step and curve of a row; None where no curve has it.
    """
    rows: dict[tuple[str, float], dict[str, float]] = {}
    for row in measurements:
        point = point_of(row)
        if row.value is not None and point is not None:
            rows.setdefault(point[:2], {})[point[2]] = row.value
    for (axis, step), values in sorted(rows.items()):
        tracker.log(values, axis=axis, step=step)
