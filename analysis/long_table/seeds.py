"""Measurements over seeds: mean and interval of several, the row itself of a single one.

Trainings differ, and so would prompts: seeds answer the same ones, so that no scatter between seeds
shows what other prompts would give. The interval of a mean joins both errors in squares, as fits
and differences do.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import cast

import numpy as np

from analysis.long_table.columns import axes_of
from analysis.long_table.one_number import each_job_once, standing_row
from analysis.long_table.ranges import possible
from analysis.measurement import (
    CONTROLS,
    FIELDS,
    IDENTITY,
    End,
    LeftOut,
    Row,
    Scalar,
    left_out_of,
)
from analysis.status import Status

CONFIDENCE = 0.95


def over_seeds(rows: Sequence[Row], seeds: str | None = "seed") -> list[Row]:
    """Return one row per cell: the measurements that agree on everything but the seed.

    With two seeds or more `value` is their mean, and the interval joins Student's t over seeds in
    squares with the widest of the seeds' own over prompt groups, within what the value can be; with
    one the interval over prompt groups is kept. One job that is of several seeds, because nothing
    behind it names the axis, is one seed. The upper end is raised by what was left uncounted; floor
    and null bands are the outermost of all seeds. Failed seeds are left out of the mean and named
    in `reason`, behind what is to be known about the others; `key` lists every job.

    Raises:
        ValueError: one cell and seed hold two different numbers.
    """
    axes = axes_of(rows[0]) if rows else []
    names = [*(axis for axis in axes if axis != seeds), *IDENTITY]
    cells: dict[tuple[Scalar, ...], list[Row]] = {}
    for row in rows:
        cells.setdefault(tuple(row[name] for name in names), []).append(row)
    return [_combine(_one_per_seed(cell, seeds, names), seeds) for cell in cells.values()]


def t_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return the 95 % Student interval of the mean of two or more independent values."""
    from scipy.special import stdtrit

    sample = np.asarray(list(values), dtype=np.float64)
    assert len(sample) >= 2
    error = sample.std(ddof=1) / math.sqrt(len(sample))
    half = float(stdtrit(len(sample) - 1, 0.5 + CONFIDENCE / 2) * error)
    return float(sample.mean()) - half, float(sample.mean()) + half


def _one_per_seed(cell: list[Row], seeds: str | None, names: Sequence[str]) -> list[Row]:
    """Return the cell's rows, the same number counted once: of two stages, or of two seeds."""
    kept: dict[Scalar, Row] = {}
    for row in cell:
        seed = row.get(seeds) if seeds else None
        try:
            kept[seed] = standing_row(kept.get(seed, row), row)
        except ValueError as different:
            where = ", ".join(f"{name}={row[name]}" for name in names if row[name] is not None)
            raise ValueError(f"{different} ({where}, {seeds or 'seed'}={seed})") from None
    return list(each_job_once(kept).values())


def _combine(cell: list[Row], seeds: str | None) -> Row:
    good = [row for row in cell if _number(row) is not None]
    bad = [row for row in cell if _number(row) is None]
    blank: Row = {seeds: None} if seeds in cell[0] else {}
    if len(cell) == 1:
        return cell[0] | blank | {"num_seeds": len(good)}
    if not good:
        missing: Row = {"num_seeds": 0, "reason": _missing_seeds(bad), "key": _keys(bad)}
        return _most_common(bad) | blank | missing
    if len(good) == 1:
        reasons = [str(good[0]["reason"])] if good[0]["reason"] else []
        reasons.append(_missing_seeds(bad))
        return good[0] | blank | {"num_seeds": 1, "reason": "; ".join(reasons)}
    values = [number for row in good if (number := _number(row)) is not None]
    uncounted = _numbers(good, "uncounted")
    notes = [*_notes(good), *([_missing_seeds(bad)] if bad else [])]
    combined: Row = {
        "value": math.fsum(values) / len(values),
        "coverage": min(_numbers(good, "coverage"), default=None),
        "uncounted": max(uncounted, default=None),
        "num_seeds": len(good),
        "left_out": cast("Scalar", _mean_left_out(good)),
        "key": _keys(good),
        "reason": "; ".join(notes) or None,
    }
    return good[0] | blank | _outermost(good) | combined | _interval(good, values, notes)


def _interval(rows: Sequence[Row], values: Sequence[float], notes: Sequence[str]) -> Row:
    """Return the interval of the mean over seeds: their scatter, and what prompts do to them all.

    Where the prompts are too few for an interval it is of the seeds' scatter alone.
    """
    below, above = (_farthest(rows, end) for end in ("low", "high"))
    if min(values) == max(values) and (below is None or above is None):
        reasons = [str(rows[0]["reason"] or "all seeds agree, and none has an interval"), *notes]
        few = {"status": rows[0]["status"], "reason": "; ".join(dict.fromkeys(reasons))}
        return {"low": None, "high": None, **few}
    mean, (first, last) = math.fsum(values) / len(values), t_interval(values)
    half = (last - first) / 2
    low, high = mean - math.hypot(half, below or 0.0), mean + math.hypot(half, above or 0.0)
    high += math.fsum(_numbers(rows, "uncounted")) / len(rows)
    metric = str(rows[0]["metric"])
    ends = {"low": min(possible(metric, low), mean), "high": max(possible(metric, high), mean)}
    return {**ends, "status": Status.OK.value}


def _farthest(rows: Sequence[Row], end: str) -> float | None:
    """Return the widest half of the seeds' own intervals at one end, less what is uncounted."""
    halves = []
    for row in rows:
        known = [_numbers([row], name) for name in ("value", end)]
        if all(known):
            raised = math.fsum(_numbers([row], "uncounted")) if end == "high" else 0.0
            ((value,), (limit,)) = known
            halves.append(max(abs(limit - value) - raised, 0.0))
    return max(halves, default=None)


def _keys(rows: Sequence[Row]) -> str | None:
    """Return the keys of all jobs behind rows; None where no job left any of them."""
    return " ".join(sorted({str(row["key"]) for row in rows if row["key"] is not None})) or None


def _mean_left_out(rows: Sequence[Row]) -> LeftOut | None:
    """Return the mean over seeds without each group; None where a seed has not kept it.

    A seed without rows of a group is the same number without that group.
    """
    kept = [left_out_of(row) or () for row in rows]
    if not all(kept):
        return None
    wholes = [_number(row) for row in rows]
    means: list[float | None] = []
    for group in zip_longest(*kept):
        numbers = [
            own if own is not None else all_of for own, all_of in zip(group, wholes, strict=True)
        ]
        has_rows = any(own is not None for own in group)
        means.append(math.fsum(filter(None, numbers)) / len(numbers) if has_rows else None)
    return tuple(means)


def _outermost(rows: Sequence[Row]) -> Row:
    """Return the controls of a mean: bands that hold every seed's, and the farthest floor."""
    outer: Row = {}
    for name in CONTROLS:
        numbers = _numbers(rows, name)
        match FIELDS[name].end:
            case End.LOW:
                outer[name] = min(numbers, default=None)
            case End.HIGH:
                outer[name] = max(numbers, default=None)
            case None:
                outer[name] = max(numbers, key=abs, default=None)
    return outer


def _numbers(rows: Sequence[Row], name: str) -> list[float]:
    """Return the entries of a column that are not missing."""
    entries = (row.get(name) for row in rows)
    return [float(entry) for entry in entries if isinstance(entry, int | float)]


def _number(row: Row) -> float | None:
    """Return the row's value; None where it is missing or below the noise floor."""
    value = row["value"]
    assert value is None or isinstance(value, int | float)
    return None if value is None or row["status"] == Status.BELOW_NOISE_FLOOR else float(value)


def _most_common(rows: Sequence[Row]) -> Row:
    """Return the first row with the most frequent status."""
    status = Counter(row["status"] for row in rows).most_common(1)[0][0]
    return next(row for row in rows if row["status"] == status)


def _notes(rows: Sequence[Row]) -> list[str]:
    """Return what is to be known about good values, each text once, and of how many seeds."""
    usual = (None, Status.OK)
    known = [str(row["reason"]) for row in rows if row["reason"] and row["status"] in usual]
    return [
        text if count == len(rows) else f"{count} of {len(rows)} seeds: {text}"
        for text, count in Counter(known).items()
    ]


def _missing_seeds(rows: Sequence[Row]) -> str:
    """Say why seeds are missing, in one line."""
    counted = Counter(f"{row['status']}: {row['reason'] or 'no reason recorded'}" for row in rows)
    why = "; ".join(f"{count} × {reason}" for reason, count in sorted(counted.items()))
    return f"{len(rows)} seed{'s' * (len(rows) > 1)} missing ({why})"
