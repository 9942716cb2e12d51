"""One number may be gathered twice, by two stages or as two seeds: which row stands for it."""

from collections.abc import Mapping

from analysis.measurement import Row, Scalar


def standing_row(first: Row, second: Row) -> Row:
    """Return the row that stands for a number of which there are two; `first` where both may.

    A job that left nothing contradicts none that did, so its row yields.

    Raises:
        ValueError: they are two different numbers.
    """
    if first["key"] is None:
        return second
    if second["key"] is None or first["value"] == second["value"]:
        return first
    raise ValueError(
        f"two different numbers of {second['metric']} for one cell: {first['value']} from "
        f"{first['key']} and {second['value']} from {second['key']}"
    )


def each_job_once(by_seed: Mapping[Scalar, Row]) -> dict[Scalar, Row]:
    """Return the seeds of a cell less those that have an earlier one's number, of the same job.

    Nothing behind such a job names the seed, so that its number says nothing of seeds. A job that
    sweeps the axis itself has a number of each.
    """
    kept: dict[Scalar, Row] = {}
    known = set[tuple[Scalar, Scalar]]()
    for seed, row in by_seed.items():
        number = row["key"], row["value"]
        if row["key"] is None or number not in known:
            kept[seed] = row
            known.add(number)
    return kept
