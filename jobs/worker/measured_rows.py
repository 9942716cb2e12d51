"""The file that every kind which measures leaves, and how it is written."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.measurement import Measurement, Role, with_role

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
    complete = [replace(each, **facts) for each in measurements]  # type: ignore[arg-type]
    table = to_table([each.as_row() for each in complete], axes).drop_columns(["model", "key"])
    (folder / FILE).write_bytes(to_parquet(table))
    return dict(sorted(Counter(each.status.value for each in complete).items()))
