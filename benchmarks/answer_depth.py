"""How often the interval of a half-depth holds one that was planted.

    python -m benchmarks.answer_depth [--draws 200]

Prompts have effects of their own and of their group, and noise at every token; answers end at
random, and long ones are twice as high everywhere. The truth is that of the definition: shares on
straight lines in log2(1 + depth) between the depths that are measured.
"""

import argparse
from collections.abc import Iterator
from itertools import product

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.answer_metric import AnswerProfile, Point, measure_profile, profile_of
from analysis.estimates.group_means import estimated_mean
from analysis.measurement import NUM_GROUPS, Measurement

DEPTHS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
HALVES = (2.0, 6.0, 20.0)
LENGTHS = (None, 30.0)
"""Mean length of answers in tokens; None: all are longer than the deepest token."""
PER_GROUP = (3, 20)


def main() -> None:
    """Print one line per cell: how often the truth is inside, refused, or without an end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    print("half length per_group truth median covered closed open refused")
    for half, length, per_group in product(HALVES, LENGTHS, PER_GROUP):
        shares = {depth: 0.5 ** (depth / half) for depth in DEPTHS}
        truth = _truth(shares)
        draw = np.random.default_rng(0)
        measured = [
            measure_profile("half_depth", planted(shares, draw, per_group, length), _BLANK)
            for _ in range(draws)
        ]
        values = [m.value for m in measured if m.value is not None]
        ends = [(m.low, m.high) for m in measured if m.low is not None and m.high is not None]
        covered = sum(low <= truth <= high for low, high in ends)
        print(
            f"{half:g} {length} {per_group} {truth:.2f} {np.median(values):.2f} "
            f"{covered} {len(ends)} {len(values) - len(ends)} {draws - len(values)}",
            flush=True,
        )


_BLANK = Measurement(metric="", definition="")


def _truth(shares: dict[int, float]) -> float:
    places, values = np.log2(1 + np.array(list(shares))), np.array(list(shares.values()))
    return float(np.exp2(np.interp(0.5, values[::-1], places[::-1])) - 1)


def planted(
    shares: dict[int, float], draw: np.random.Generator, per_group: int, length: float | None
) -> AnswerProfile:
    """Draw one study's profile."""
    groups = np.repeat(np.arange(NUM_GROUPS), per_group)
    of_group = np.exp(0.3 * draw.standard_normal(NUM_GROUPS))[groups]
    own = of_group * np.exp(0.3 * draw.standard_normal(len(groups)))
    lengths = np.full(len(groups), 1 << 20)
    if length is not None:
        lengths = draw.geometric(1 / length, len(groups))
        own *= np.where(lengths > np.median(lengths), 2.0, 1.0)
    first = own * draw.gamma(4.0, 0.25, len(groups))
    points, num_rows = {}, {}
    for depth, here in _reaching(shares, lengths):
        values = own * shares[depth] * draw.gamma(4.0, 0.25, len(groups)) if depth else first
        points[depth] = (_point(values[here], groups[here]), _point(first[here], groups[here]))
        num_rows[depth] = int(here.sum())
    counts = dict.fromkeys(range(NUM_GROUPS), per_group)
    return profile_of("token_kl", points, counts, num_rows)


def _reaching(
    shares: dict[int, float], lengths: Int64[np.ndarray, " prompts"]
) -> Iterator[tuple[int, np.ndarray]]:
    for depth in shares:
        here = lengths > depth
        if here.any():
            yield depth, here


def _point(values: Float64[np.ndarray, " rows"], groups: Int64[np.ndarray, " rows"]) -> Point:
    estimate = estimated_mean(values, groups)
    numbers = np.unique(groups).tolist()
    return estimate.value, dict(zip(numbers, estimate.left_out, strict=False))


if __name__ == "__main__":
    main()
