"""The part of one objective's δ inside another's subspace, on δ's whose common part is planted."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from analysis.estimates import evaluation
from analysis.metric import METRICS
from analysis.rows.summary import Sample
from jobs.kinds.measure import MeasureParams

shared_part = METRICS.find("shared_part")
D, PROMPTS = 64, 48
STRENGTHS = np.array([0.6, 0.14, 0.13, 0.13])
"""Energy of the mean offset, then of three directions that prompts vary along: 90 % takes all."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """SFT along four directions; DPO with a share of its energy there, the rest along others."""

    basis: np.ndarray
    share: float
    noise: float

    def moment(self, share: float, centred: bool) -> np.ndarray:
        """Second moment of a δ with this share of its energy along SFT's directions."""
        kept = STRENGTHS * np.array([0 if centred else 1, 1, 1, 1]) * (1 - self.noise)
        inside, outside = self.basis[:, :4], self.basis[:, 4:8]
        parts = share * (inside * kept) @ inside.T + (1 - share) * (outside * kept) @ outside.T
        return np.asarray(parts + np.eye(D) * self.noise / D)

    def truth(self, centred: bool) -> tuple[float, float]:
        """Energy inside SFT's leading directions that hold 90 % of it: of DPO, and of SFT.

        Those are planted: with more noise some would be any directions.
        """
        sft, dpo = self.moment(1.0, centred), self.moment(self.share, centred)
        values, axes = np.linalg.eigh(sft)
        enough = np.searchsorted(np.cumsum(values[::-1]) / values.sum(), 0.9) + 1
        assert enough <= len(STRENGTHS) - centred
        chosen = axes[:, ::-1][:, :enough]
        return tuple(float(np.trace(chosen.T @ m @ chosen) / np.trace(m)) for m in (dpo, sft))

    def rows(self, rng: np.random.Generator, each: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of DPO and of SFT; rows of one prompt share 30 % of their variance."""
        count = PROMPTS * each

        def normal(width: int) -> np.ndarray:
            of_prompt = np.repeat(rng.standard_normal((PROMPTS, width)), each, axis=0)
            return np.sqrt(0.3) * of_prompt + np.sqrt(0.7) * rng.standard_normal((count, width))

        def offsets(axes: np.ndarray, own: np.ndarray) -> np.ndarray:
            scores = np.concatenate([np.ones((count, 1)), own], axis=1)
            return scores * np.sqrt(STRENGTHS * (1 - self.noise)) @ axes.T

        common = normal(3)
        mixed = np.sqrt(0.5) * common + np.sqrt(0.5) * normal(3)
        inside, outside = self.basis[:, :4], self.basis[:, 4:8]
        dpo = self.share**0.5 * offsets(inside, mixed)
        dpo += (1 - self.share) ** 0.5 * offsets(outside, normal(3))
        scale = np.sqrt(self.noise / D)
        return dpo + scale * normal(D), offsets(inside, common) + scale * normal(D)


def values_of(sample_of, rows, base, each=1, **known) -> dict:
    """Every value of a pair of δ's, by name and centring."""
    prompts = np.repeat(np.arange(PROMPTS), each)
    pair = [sample_of(own, prompts=prompts, base=base, **known) for own in rows]
    return {(value.metric, value.centred): value for value in shared_part.measure(*pair)}


def base_rows(rng: np.random.Generator, count: int, power: float = 1.0) -> np.ndarray:
    return rng.standard_normal((count, D)) * np.arange(1, D + 1) ** (-power / 2)


def planted(rng: np.random.Generator, share: float, noise: float = 0.02) -> Planted:
    basis = np.linalg.qr(rng.standard_normal((D, D)))[0]
    return Planted(basis=basis, share=share, noise=noise)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_planted_part_is_found_with_fewer_rows_than_dimensions(sample_of, share: float) -> None:
    rng = np.random.default_rng(0)
    world = planted(rng, share)
    found = values_of(sample_of, world.rows(rng, 1), base_rows(rng, PROMPTS))
    for centred in (False, True):
        inside, ceiling = world.truth(centred)
        part = found["energy_inside_sft", centred]
        rest = found["energy_outside_sft", centred]
        assert part.value == pytest.approx(inside, abs=0.05)
        assert found["energy_inside_sft_ceiling", centred].value == pytest.approx(ceiling, abs=0.05)
        assert found["shared_part", centred].value == pytest.approx(inside / ceiling, abs=0.06)
        assert part.value + rest.value == pytest.approx(1)
        assert (part.low, part.high) == pytest.approx((1 - rest.high, 1 - rest.low))
        assert (part.null_low, part.base_null_high) == pytest.approx(
            (1 - rest.null_high, 1 - rest.base_null_low)
        )
        if share == 1.0:
            assert part.low > max(part.null_high, part.base_null_high)
    assert found["paired_cosine", True].value == pytest.approx((share / 2) ** 0.5, abs=0.15)


def independent(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two δ's along directions of one anisotropic space that know nothing of each other."""

    def offsets() -> np.ndarray:
        axes = rng.standard_normal((4, D)) * np.arange(1, D + 1) ** -0.5
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        scores = np.concatenate([np.ones((PROMPTS, 1)), rng.standard_normal((PROMPTS, 3))], axis=1)
        noise = rng.standard_normal((PROMPTS, D)) * np.sqrt(0.02 / D)
        return np.asarray(scores * np.sqrt(STRENGTHS) @ axes + noise)

    return offsets(), offsets()


def num_above(sample_of, draws: int, seed: int = 1) -> tuple[int, int]:
    """Of how many draws the part stands above the base's band, and above the random one."""
    rng = np.random.default_rng(seed)
    above = np.zeros(2, dtype=int)
    for _ in range(draws):
        found = values_of(sample_of, independent(rng), base_rows(rng, PROMPTS))
        part = found["energy_inside_sft", False]
        above += [part.low > part.base_null_high, part.low > part.null_high]
    return int(above[0]), int(above[1])


def test_what_anisotropy_alone_gives_is_not_above_the_base_band(sample_of) -> None:
    base, random = num_above(sample_of, 2, seed=3)
    assert base == 0 and random > 0  # as in about half of all draws


@pytest.mark.slow
def test_independent_offsets_stand_above_the_base_band_as_rarely_as_it_says(sample_of) -> None:
    assert num_above(sample_of, 200)[0] <= 10


@pytest.mark.slow
@pytest.mark.parametrize(("share", "noise", "each"), [(0.5, 0.02, 1), (0.2, 0.03, 4)])
def test_intervals_hold_the_planted_part(sample_of, share: float, noise: float, each: int) -> None:
    rng = np.random.default_rng(2)
    held: dict[tuple[str, bool], int] = {}
    for _ in range(200):
        world = planted(rng, share, noise)
        base = base_rows(rng, PROMPTS * each)
        found = values_of(sample_of, world.rows(rng, each), base, each)
        for centred in (False, True):
            inside, ceiling = world.truth(centred)
            for name, true in (
                ("energy_inside_sft", inside),
                ("energy_inside_sft_ceiling", ceiling),
                ("shared_part", inside / ceiling),
            ):
                value = found[name, centred]
                held.setdefault((name, centred), 0)
                held[name, centred] += value.low <= true <= value.high
    assert {key: count for key, count in held.items() if count < 180} == {}


def cosine_of(sample: Sample, other: Sample) -> evaluation.Measured:
    """The last value alone: the others take seconds."""
    return shared_part.prepare(sample, other, False)[-1]()


def test_rows_of_other_tokens_are_not_paired(sample_of) -> None:
    rng = np.random.default_rng(3)
    rows = planted(rng, 0.5).rows(rng, 1)
    pair = [sample_of(own, base=base_rows(rng, PROMPTS)) for own in rows]
    with pytest.raises(evaluation.UnmeasurableError, match="not of the same tokens"):
        cosine_of(*pair)
    blind = [replace(s, reservoir=replace(s.reservoir, base=None)) for s in pair]
    with pytest.raises(evaluation.UnmeasurableError, match="no base rows are kept"):
        cosine_of(*blind)


def test_prompts_are_paired_by_number_whatever_their_order(sample_of) -> None:
    rng = np.random.default_rng(4)
    rows, base = planted(rng, 0.7).rows(rng, 1), base_rows(rng, PROMPTS)
    order = rng.permutation(PROMPTS)
    own, straight = (sample_of(each, base=base) for each in rows)
    turned = sample_of(rows[1][order], prompts=order, base=base[order])
    first, second = cosine_of(own, straight), cosine_of(own, turned)
    assert first.estimate == second.estimate
    assert first.estimate.low > first.null.high, "prompts have a part in common beside the mean"


def test_all_leaves_out_what_came_later_and_a_name_finds_it() -> None:
    every = MeasureParams().metrics
    assert "captured_energy" in every and "shared_part" not in every
    assert MeasureParams(metrics="shared_part").metrics == ("shared_part",)
    assert "shared_part" in MeasureParams(metrics=("all", "shared-part")).metrics
