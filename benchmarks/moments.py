"""How exact the moments are: products in fp32 against an fp64 two-pass, and splits of the merge.

    python -m benchmarks.moments [--device cuda]

The rows have what real ones have: a mean far above their spread, a few directions that hold most
of the variance, and dimensions a hundred times as large as the others.
"""

from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from analysis.rows.moments import Moments
from benchmarks.workload import WORKLOADS, arguments, random_plan, settled
from jobs.extraction.reduction import Reduction
from jobs.taps.row_views import row_views
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import find_positions

_D = 512
_NUM_UNITS = 16


def main() -> None:
    """Print the errors."""
    chosen = arguments(__doc__).parse_args()
    print(settled(chosen))
    plan = random_plan(replace(WORKLOADS["gpt2"], num_prompts=640))
    rows = massive_rows(len(plan.token_ids))
    exact = two_pass(rows)
    print(f"{len(rows):,} rows, d = {_D}; relative errors (Frobenius), mean and scatter")
    for budget in (512, 4096, 32768):
        found = reduced(plan, rows, np.arange(len(plan.prompts)), budget, chosen.device)
        print(f"fp32 products, batches of {budget:6,} tokens: {_errors(found, exact)}")
    parts = np.array_split(np.arange(len(plan.prompts)), _NUM_UNITS)
    units = [reduced(plan, rows, part, 4096, chosen.device) for part in parts]
    forwards = reduce(Moments.merge, units)
    print(f"fp32 products, {_NUM_UNITS} units merged:        {_errors(forwards, exact)}")
    backwards = reduce(Moments.merge, units[::-1])
    print(f"merge, units forwards and backwards:  {_errors(backwards, _plain(forwards))}")
    print(f"merge, units in order and as a tree:  {_errors(_tree(units), _plain(forwards))}")
    few, many = (
        reduce(Moments.merge, map(Moments.from_rows, np.array_split(rows, pieces)))
        for pieces in (3, 101)
    )
    print(f"merge of fp64 rows, 3 and 101 pieces: {_errors(many, _plain(few))}")


def massive_rows(num_rows: int) -> Float32[np.ndarray, "rows d"]:
    """Draw rows with a mean far above their spread, and dimensions a hundred times as large."""
    draw = np.random.default_rng(0)
    scale = np.ones(_D)
    scale[:4] = 100.0
    directions = draw.standard_normal((8, _D))
    rows = draw.standard_normal((num_rows, 8)) @ directions + draw.standard_normal((num_rows, _D))
    return ((rows + 10 * draw.standard_normal(_D)) * scale).astype(np.float32)


def reduced(
    plan: TokenPlan, rows: np.ndarray, prompts: np.ndarray, budget: int, device: Any
) -> Moments:
    """Sum rows through the batches and the reduction of an extraction."""
    import torch

    (wanted,) = find_positions(plan, ("all",), 0)
    reduction = Reduction(dense=True, neurons=False)
    for members in cut_batches(plan, prompts, budget):
        (view,) = row_views(plan, pad_batch(plan, members, [wanted]), [wanted], device)
        delta = torch.from_numpy(rows[view.tokens]).to(device)
        norms = delta.square().sum(dim=1).sqrt()
        reduction.add(view, delta, (norms, norms))
    moments = reduction.finish(lambda tensor: tensor.cpu())().moments
    assert moments is not None
    return moments


def two_pass(rows: np.ndarray) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "d d"]]:
    """Return mean and scatter in fp64, all rows at once."""
    wide = rows.astype(np.float64)
    mean = wide.mean(axis=0)
    return mean, (wide - mean).T @ (wide - mean)


def _plain(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    return moments.mean, moments.scatter.dense()


def _tree(parts: list[Moments]) -> Moments:
    if len(parts) == 1:
        return parts[0]
    return _tree(parts[::2]).merge(_tree(parts[1::2]))


def relative_errors(found: Moments, expected: tuple[np.ndarray, np.ndarray]) -> list[float]:
    """Return the relative errors (Frobenius) of mean and scatter."""
    pairs = zip(_plain(found), expected, strict=True)
    return [float(np.linalg.norm(own - other) / np.linalg.norm(other)) for own, other in pairs]


def _errors(found: Moments, expected: tuple[np.ndarray, np.ndarray]) -> str:
    return "  ".join(f"{error:.1e}" for error in relative_errors(found, expected))


if __name__ == "__main__":
    main()
