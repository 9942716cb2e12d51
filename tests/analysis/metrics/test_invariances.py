"""What every metric says changes nothing, by drawn examples: turning, scaling, order, shifts."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.measurement import Measurement
from analysis.metric import METRICS
from analysis.rows.neurons import NeuronSums
from analysis.rows.summary import Sample, ToxicDirections

D, NUM_ROWS = 6, 60
NEURONS = {"toxic_activation_drop", "gate_linear_split", "reactivation"}
"""Their coordinates are neurons: turning them means nothing, their order neither."""
SCALES = {"offset_norm": 1.0, "relative_norm": 1.0}
"""Which power of a factor of δ alone each value takes; all others take none."""
OF_BOTH = {"cka"}
"""Those that see δ beside the base: scaling must be of both."""
FEW = settings(max_examples=3, deadline=None, derandomize=True)
seeds, exponents = st.integers(0, 2**32 - 1), st.floats(-6, 6)
SCALED = given(seed=seeds, exponent=exponents)


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """All that a metric may look at, of two conditions and an earlier turn."""

    rows: np.ndarray
    """[3, rows, d]: of the condition, of the other one, of the earlier turn."""
    base: np.ndarray
    """The base model's, alike."""
    directions: np.ndarray
    """Probe and SVD directions [4, d]."""
    toxic: np.ndarray
    """Toxic neurons."""
    groups: np.ndarray
    """Prompt group of each row."""

    @classmethod
    def of(cls, seed: int) -> "Drawn":
        rng = np.random.default_rng(seed)
        scale = 1 / np.sqrt(np.arange(1, D + 1))
        return cls(
            rows=(rng.standard_normal((3, NUM_ROWS, D)) + 0.8) * scale,
            base=3 * rng.standard_normal((3, NUM_ROWS, D)) + 6,
            directions=rng.standard_normal((4, D)),
            toxic=np.array([4, 1]),
            groups=np.arange(NUM_ROWS) % 20,
        )


Make = Callable[[Drawn], tuple[Sample, Sample]]


@pytest.fixture(scope="session")
def samples() -> Make:
    """Make the samples of what was drawn: once, since every metric is drawn the same examples."""
    from analysis.rows.summary import GroupSummary, Reservoir

    made: dict[tuple[bytes, ...], tuple[Sample, Sample]] = {}

    def one(drawn: Drawn, place: int) -> Sample:
        rows, base, groups = drawn.rows[place], drawn.base[place], drawn.groups
        norms, prompts = np.linalg.norm(base, axis=1), np.arange(NUM_ROWS)
        summaries = {}
        for number in np.unique(groups):
            at = groups == number
            summary = GroupSummary.from_rows(rows[at], norms[at], prompts[at], True)
            sums = NeuronSums.from_rows(base[at], (base + rows)[at])
            summaries[int(number)] = replace(summary, neurons=sums)
        kept = Reservoir(
            rows=rows.astype(np.float32),
            prompts=prompts,
            groups=groups,
            base=base.astype(np.float32),
        )
        return Sample(
            groups=summaries,
            reservoir=kept,
            toxic=ToxicDirections(probe=drawn.directions[0], svd=drawn.directions[1:]),
            toxic_neurons=drawn.toxic,
            turn=2,
        )

    def make(drawn: Drawn) -> tuple[Sample, Sample]:
        key = tuple(getattr(drawn, field.name).tobytes() for field in fields(drawn))
        if key not in made:
            sample, against, earlier = (one(drawn, place) for place in range(3))
            made[key] = replace(sample, earlier={1: earlier}, first_token=earlier), against
        return made[key]

    return make


OF_ROWS = pytest.mark.parametrize("name", sorted(set(METRICS.names()) - NEURONS))
OF_NEURONS = pytest.mark.parametrize("name", sorted(NEURONS))


def measured(name: str, pair: tuple[Sample, Sample]) -> list[Measurement]:
    return METRICS.find(name).measure(*pair)


def same(before: list[Measurement], after: list[Measurement], factor: float = 1.0) -> None:
    """Numbers and intervals alike, but for fp32 of kept rows and the 2 % of a histogram bin."""
    for first, second in zip(before, after, strict=True):
        assert (second.metric, second.status) == (first.metric, first.status)
        for number, other in zip(
            (first.value, first.low, first.high),
            (second.value, second.low, second.high),
            strict=True,
        ):
            if number is None:
                assert other is None, (first.metric, first.centred)
                continue
            near = 0.02 if first.metric.startswith(tuple(SCALES)) else 2e-4
            assert other == pytest.approx(factor * number, rel=near, abs=1e-5), (
                first.metric,
                first.centred,
            )


@OF_ROWS
@FEW
@example(seed=38)  # another spectrum that fits has no more directions than are meant
@given(seed=seeds)
def test_turning_the_stream_changes_nothing(samples: Make, name: str, seed: int) -> None:
    drawn = Drawn.of(seed)
    turn = np.linalg.qr(np.random.default_rng(seed + 1).standard_normal((D, D)))[0]
    turned = replace(
        drawn, rows=drawn.rows @ turn, base=drawn.base @ turn, directions=drawn.directions @ turn
    )
    same(measured(name, samples(drawn)), measured(name, samples(turned)))


@OF_ROWS
@FEW
@SCALED
def test_scaling_changes_nothing_but_norms_and_these_in_proportion(
    samples: Make, name: str, seed: int, exponent: float
) -> None:
    drawn, factor = Drawn.of(seed), float(2**exponent)
    base = drawn.base * (factor if name in OF_BOTH else 1.0)
    scaled = replace(drawn, rows=drawn.rows * factor, base=base)
    expected = factor ** SCALES.get(name, 0.0)
    same(measured(name, samples(drawn)), measured(name, samples(scaled)), expected)


@OF_NEURONS
@FEW
@SCALED
def test_neurons_may_stand_in_any_order_and_fire_in_any_unit(
    samples: Make, name: str, seed: int, exponent: float
) -> None:
    drawn, factor = Drawn.of(seed), float(2**exponent)
    order = np.random.default_rng(seed + 1).permutation(D)
    moved = replace(
        drawn,
        rows=factor * drawn.rows[:, :, order],
        base=factor * drawn.base[:, :, order],
        toxic=np.array([int(np.flatnonzero(order == neuron)[0]) for neuron in drawn.toxic]),
    )
    expected = 1.0 if name == "reactivation" else factor
    same(measured(name, samples(drawn)), measured(name, samples(moved)), expected)


@pytest.mark.parametrize("name", METRICS.names())
@FEW
@given(seed=seeds)
def test_rows_and_groups_have_no_order(samples: Make, name: str, seed: int) -> None:
    drawn = Drawn.of(seed)
    rng = np.random.default_rng(seed + 1)
    order = rng.permutation(NUM_ROWS)
    moved = replace(
        drawn, rows=drawn.rows[:, order], base=drawn.base[:, order], groups=drawn.groups[order]
    )
    before, after = measured(name, samples(drawn)), measured(name, samples(moved))
    same(before, after)


@pytest.mark.parametrize("name", ["cka", "intrinsic_dimension", "effective_rank", "stable_rank"])
@FEW
@given(seed=seeds)
def test_a_shift_of_all_rows_is_not_seen_about_their_mean(
    samples: Make, name: str, seed: int
) -> None:
    drawn = Drawn.of(seed)
    shift = np.random.default_rng(seed + 1).standard_normal(D)
    moved = replace(drawn, rows=drawn.rows + shift)
    pairs = (measured(name, samples(each)) for each in (drawn, moved))
    same(*([value for value in values if value.centred is not False] for values in pairs))
