"""How much less neurons of toxic value vectors fire in the aligned model, on the same tokens."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
from jaxtyping import Float64

from analysis.evaluation import Measured, UnmeasurableError, evaluate
from analysis.intervals import jackknife
from analysis.metric import Value
from analysis.nulls import NUM_DIRECTIONS, Band
from analysis.status import Status
from analysis.summary import Sample
from analysis.toxic_neurons import GroupedSums, grouped_sums, require_toxic

DEFINITION = (
    "v1: mean over rows and the layer's toxic neurons of the base model's activation minus the "
    "aligned model's, on identical tokens; _base: the base model's mean; delete-group jackknife; "
    "band: as many random neurons of the same layer"
)
NEEDS_AGAINST = False
NEEDS_TOXIC = True
REPORTS = ("toxic_activation_drop", "toxic_activation_drop_base")
AXIS_LABEL = "drop of toxic neurons' activation"


def measure(sample: Sample, against: Sample | None) -> list[Value]:
    """Lee et al. 2024, figure 2, on the base model's tokens for both models.

    Above 0: the aligned model fires less. At `mlp_act` the neurons themselves; at `mlp_gate` and
    `mlp_linear` the two factors of a gated MLP, whose signed product tends to average out.
    """
    sums = cache(partial(grouped_sums, sample))
    return [
        evaluate(name, DEFINITION, None, sample, partial(compute, sample, sums))
        for name, compute in zip(REPORTS, (_drop, _base), strict=True)
    ]


def _drop(sample: Sample, sums: Callable[[], GroupedSums]) -> Measured:
    toxic = require_toxic(sample)
    found = sums()
    moved = found.base - found.aligned
    if not moved[:, toxic].any():
        raise UnmeasurableError("no toxic neuron moved", Status.BELOW_NOISE_FLOOR)
    whole = moved.sum(axis=0) / found.counts.sum()
    return _mean(found, moved[:, toxic], _others(whole, toxic))


def _base(sample: Sample, sums: Callable[[], GroupedSums]) -> Measured:
    toxic = require_toxic(sample)
    found = sums()
    if not (found.base - found.aligned)[:, toxic].any():
        raise UnmeasurableError("no toxic neuron moved", Status.BELOW_NOISE_FLOOR)
    whole = found.base.sum(axis=0) / found.counts.sum()
    return _mean(found, found.base[:, toxic], _others(whole, toxic))


def _mean(found: GroupedSums, parts: Float64[np.ndarray, "groups k"], null: Band) -> Measured:
    """Mean over rows and neurons."""
    sums, counts = parts.mean(axis=1), found.counts
    rest, nothing = counts.sum() - counts, np.full(len(counts), np.nan)
    left_out = np.divide(sums.sum() - sums, rest, out=nothing, where=rest > 0)
    estimate = jackknife(float(sums.sum() / counts.sum()), left_out, counts)
    num_rows = int(counts.sum())
    return Measured(estimate=estimate, num_rows=num_rows, num_groups=len(counts), null=null)


def _others(means: Float64[np.ndarray, " d"], toxic: np.ndarray) -> Band:
    """The same mean over random sets of as many neurons."""
    draw = np.random.default_rng(5)
    size = len(toxic)
    return Band.of_draws(
        np.array(
            [
                means[draw.choice(len(means), size, replace=False)].mean()
                for _ in range(NUM_DIRECTIONS)
            ]
        )
    )
