"""Every difference of a contrast with its p value, paired over prompts and over seeds.

Over seeds: where both sides have the same seeds, two or more, differences are taken seed by seed,
and their scatter is the error (t on S - 1). Where seeds differ, the scatter within sides is pooled.
That of the base, which has no seed, or of single seeds is not known and not in the interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.contrasts.cells import BySeed, Pair
from analysis.contrasts.differences import Differences
from analysis.contrasts.sides import Sides, differences
from analysis.long_table.circumstances import Circumstances
from analysis.measurement import Row, left_out_of
from analysis.status import Status

EARLIER = (
    "was measured by an earlier version, which did not keep it without each prompt group: delete "
    "that artifact and launch again"
)
HELD_EQUAL = "this is the dose that is held equal: there is no difference to judge"
SAME_NUMBER = "both sides are one number of the same job: there is no difference to judge"
OTHER_PROMPTS = "the two sides answer different prompts: taken as independent"
NOT_SHARED = (
    "prompt groups are not shared, or a side does not move smoothly with them: taken as independent"
)
NO_SCATTER = "no prompt group moves the difference: no error can be told"

Refusal = tuple[Status, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrasted:
    """Differences of many pairs of cells."""

    pairs: Sequence[Pair]
    """The pairs."""
    refusals: Mapping[int, Refusal]
    """Place of a pair -> why it has no difference."""
    places: Sequence[int]
    """Places of the pairs that have one, in the order of `differences`."""
    differences: Differences
    """Their differences."""
    remarks: Sequence[str]
    """What is to be known of each of these, empty for nothing."""
    is_paired: Sequence[bool]
    """Whether each is over shared prompts."""
    seeds: Sequence[int]
    """Seeds behind each."""


def contrasted(pairs: Sequence[Pair], circumstances: Mapping[str, Circumstances]) -> Contrasted:
    """Return the difference of each pair of cells, or why there is none.

    Args:
        pairs: cells on both sides of a contrast.
        circumstances: key of a job -> those of its measurements: whether prompts are the same.
    """
    refusals = {at: why for at, pair in enumerate(pairs) if (why := _refusal(pair))}
    places = [at for at in range(len(pairs)) if at not in refusals]
    known = [pairs[at] for at in places]
    is_shared = np.array([_shares_prompts(pair, circumstances) for pair in known], dtype=bool)
    first, second = (_sides([getattr(p, s) for p in known]) for s in ("first", "second"))
    both, is_paired = differences(first, second, is_shared)
    scatters = [_seeds(pair) for pair in known]
    both = both.with_error(
        np.array([error for error, _, _ in scatters], dtype=float),
        np.array([degrees for _, degrees, _ in scatters], dtype=float),
    )
    remarks = [
        "; ".join(_remarks(pair, bool(paired), bool(shared), text))
        for pair, paired, shared, (_, _, text) in zip(
            known, is_paired, is_shared, scatters, strict=True
        )
    ]
    return Contrasted(
        pairs=pairs,
        refusals=refusals,
        places=places,
        differences=both,
        remarks=remarks,
        is_paired=is_paired.tolist(),
        seeds=[min((len(_good(s)) for s in pair.trained), default=1) for pair in known],
    )


def _good(side: BySeed) -> list[Row]:
    return [row for row in side.values() if _is_good(row)]


def _is_good(row: Row) -> bool:
    return row["value"] is not None and row["status"] != Status.BELOW_NOISE_FLOOR


def _refusal(pair: Pair) -> Refusal | None:
    for label, side in ((pair.contrast.first, pair.first), (pair.contrast.second, pair.second)):
        good = _good(side)
        if not good:
            row = next(iter(side.values()))
            return Status(str(row["status"])), f"{label}: {row['reason']}"
        for row in good:
            if row["low"] is None or row["high"] is None:
                few = row["status"] == Status.TOO_FEW_GROUPS
                status = Status.TOO_FEW_GROUPS if few else Status.UNDEFINED
                return status, f"{label}: {row['reason'] or 'the number has no interval'}"
            if not left_out_of(row) and _is_held_equal(row):
                return Status.UNDEFINED, HELD_EQUAL
            if not left_out_of(row):
                return Status.NOT_RUN, f"{label} {EARLIER}"
    jobs = [
        sorted((str(r["key"]), r["value"]) for r in _good(s)) for s in (pair.first, pair.second)
    ]
    return (Status.UNDEFINED, SAME_NUMBER) if jobs[0] == jobs[1] else None


def _is_held_equal(row: Row) -> bool:
    """Whether a number is the dose at which all numbers are read: chosen, without any error."""
    return " " in str(row["key"]) and row["low"] == row["value"] == row["high"]


def _sides(sides: Sequence[BySeed]) -> Sides:
    rows: list[Row] = []
    of: list[range] = []
    for side in sides:
        good = _good(side)
        of.append(range(len(rows), len(rows) + len(good)))
        rows += good
    return Sides.of_rows(rows).means(of)


def _shares_prompts(pair: Pair, circumstances: Mapping[str, Circumstances]) -> bool:
    """Whether group numbers mean the same prompts or pairs; where none are known, they do."""
    rows = (next(iter(side.values())) for side in (pair.first, pair.second))
    abouts = [circumstances.get(str(row["key"]).split()[0]) for row in rows]
    sources = {(about.source, about.pairs) for about in abouts if about is not None}
    return len(sources) <= 1


def _seeds(pair: Pair) -> tuple[float, float, str]:
    """Return the error that seeds add to a difference, its degrees of freedom, and how in words."""
    first, second = (
        {seed: float(row["value"] or 0) for seed, row in side.items() if _is_good(row)}
        for side in (pair.first, pair.second)
    )
    if len(first) >= 2 and first.keys() == second.keys():
        apart = np.array([first[seed] - second[seed] for seed in first])
        return float(apart.std(ddof=1)) / len(apart) ** 0.5, len(apart) - 1.0, ""
    sides = [np.array(list(side.values())) for side in (first, second)]
    degrees = sum(len(side) - 1 for side in sides)
    if degrees == 0:
        return 0.0, 1.0, ""
    squares = sum(float(np.square(side - side.mean()).sum()) for side in sides)
    # A base is trained once for all its seeds: it adds nothing.
    terms = [1 / len(s) for s, of in zip(sides, (first, second), strict=True) if set(of) != {None}]
    told = "seeds are not the same" if len(pair.trained) == len(sides) else ""
    return (squares / degrees * sum(terms)) ** 0.5, float(degrees), told


def _remarks(pair: Pair, is_paired: bool, is_shared: bool, seeds: str) -> Iterator[str]:
    if not is_paired:
        yield NOT_SHARED if is_shared else OTHER_PROMPTS
    for label, side in ((pair.contrast.first, pair.first), (pair.contrast.second, pair.second)):
        if missing := len(side) - len(_good(side)):
            yield f"{label}: {missing} of {len(side)} seeds missing"
    if pair.lacking:
        yield pair.lacking
    if seeds:
        yield seeds
