"""Sums on the device against the definitions: fp64 over all rows at once, in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.rows.moments import Moments
from analysis.rows.neurons import NeuronSums
from analysis.rows.summary import GroupSummary
from jobs.extraction.reduction import Reduction
from jobs.taps.activations import form_offsets
from jobs.taps.row_views import row_views
from jobs.tokens.batches import cut_batches, pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import find_positions

D = 24


def plan_of(lengths):
    """Prompts of these lengths in one group; the last token of each is its answer."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    answers = within == np.repeat(np.asarray(lengths) - 1, lengths)
    return TokenPlan(
        prompts=np.arange(len(lengths)),
        groups=np.zeros(len(lengths), dtype=np.int64),
        offsets=offsets,
        token_ids=np.arange(offsets[-1], dtype=np.int32),
        roles=np.where(answers, 2, 1).astype(np.int8),
        segments=answers.astype(np.int16),
        final_segments=np.ones(len(lengths), dtype=np.int16),
    )


PLAN = plan_of([3, 9, 2, 7, 7, 5, 12, 2, 4, 6])
DRAW = np.random.default_rng(3)
# A mean far above the spread, and one massive coordinate: what a plain fp32 sum would lose.
DELTA = (DRAW.normal(size=(57, D)) + 300 * DRAW.normal(size=D)).astype(np.float32)
DELTA[:, 5] *= 1000
BASE = DRAW.normal(size=(57, D)).astype(np.float32)


def reduced(policy, budget, order=slice(None)):
    """The summary of all rows of a position, batch by batch."""
    (position,) = find_positions(PLAN, [policy], 0)
    reduction = Reduction(dense=True, neurons=True)
    for members in cut_batches(PLAN, np.arange(10)[order], budget):
        batch = pad_batch(PLAN, members, [position])
        for view in row_views(PLAN, batch, [position], "cpu"):
            delta, base = (
                view.rows(torch.from_numpy(rows[batch.tokens])) for rows in (DELTA, BASE)
            )
            norms = [torch.linalg.vector_norm(rows, dim=1) for rows in (delta, base)]
            reduction.add(view, delta, (norms[0], norms[1]))
            reduction.add_neurons(base, base + delta)
    return reduction.finish(lambda tensor: tensor)()


def expected(policy):
    """The same rows at once."""
    (position,) = find_positions(PLAN, [policy], 0)
    owners = PLAN.owners[position.tokens]
    delta, base = DELTA[position.tokens], BASE[position.tokens]
    if position.pooled:
        members = [owners == prompt for prompt in np.unique(owners)]
        delta, base = (
            np.stack([rows[each].astype(np.float64).mean(axis=0) for each in members])
            for rows in (delta, base)
        )
        owners = np.unique(owners)
    norms = np.linalg.norm(base.astype(np.float64), axis=1)
    return GroupSummary.from_rows(delta, norms, PLAN.prompts[owners], moments=True), delta, base


@pytest.mark.parametrize("policy", ["all", "last", "response", "mean"])
@pytest.mark.parametrize("budget", [12, 40, 1000])
def test_a_unit_reads_as_its_rows_taken_at_once(policy, budget):
    found, (truth, delta, base) = reduced(policy, budget), expected(policy)
    assert (found.num_rows, found.num_prompts, found.num_nonfinite) == (len(delta), 10, 0)
    np.testing.assert_allclose(found.moments.mean, truth.moments.mean, rtol=1e-6)
    exact, own = truth.moments.scatter.dense(), found.moments.scatter.dense()
    # A pooled row is formed in fp32 before anything is summed: its own rounding comes on top.
    allowed = 1e-5 if policy == "mean" else 1e-6
    assert np.linalg.norm(own - exact) <= allowed * np.linalg.norm(exact)
    np.testing.assert_array_equal(own, own.T)
    np.testing.assert_allclose(
        found.directions.unit_sum, truth.directions.unit_sum, rtol=1e-5, atol=1e-6
    )
    assert found.directions.prompt_square == pytest.approx(truth.directions.prompt_square, rel=1e-6)
    assert found.directions.prompt_count_square == truth.directions.prompt_count_square
    assert found.norms.total == pytest.approx(truth.norms.total, rel=1e-6)
    assert found.relative_norms.largest == pytest.approx(truth.relative_norms.largest, rel=1e-5)
    sums = NeuronSums.from_rows(base, base + delta)
    np.testing.assert_allclose(found.neurons.base, sums.base, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.neurons.aligned_square, sums.aligned_square, rtol=1e-5)


def test_padding_is_in_no_sum():
    """Lesson 16: means over a padded tensor count its pads, most of a batch of short prompts."""
    alone = reduced("all", 1)  # one prompt to a batch: no padding at all
    together = reduced("all", 1000)  # everything padded to twelve
    assert alone.num_rows == together.num_rows == 57
    assert alone.norms.counts[0] == together.norms.counts[0] == 0
    np.testing.assert_allclose(alone.moments.mean, together.moments.mean, rtol=1e-6)
    np.testing.assert_allclose(alone.neurons.base, together.neurons.base, atol=1e-4)


def test_rows_with_nan_are_counted_and_in_no_histogram():
    (position,) = find_positions(PLAN, ["all"], 0)
    batch = pad_batch(PLAN, np.arange(10), [position])
    (view,) = row_views(PLAN, batch, [position], "cpu")
    delta = torch.from_numpy(DELTA[batch.tokens])
    delta[4, 2] = torch.nan
    norms = torch.linalg.vector_norm(delta, dim=1)
    reduction = Reduction(dense=False, neurons=False)
    reduction.add(view, delta, (norms, torch.ones_like(norms)))
    summary = reduction.finish(lambda tensor: tensor)()
    assert (summary.num_rows, summary.num_nonfinite) == (56, 1)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 56), max_size=6))
def test_no_split_of_the_fp64_merge_shows(cuts):
    """Lesson 7 and 8: merges weigh by rows, and hold the variance between parts too."""
    parts = np.split(DELTA, sorted(set(cuts)))
    merged = parts_merged(parts)
    whole = Moments.from_rows(DELTA)
    exact = whole.scatter.dense()
    assert np.abs(merged.scatter.dense() - exact).max() <= 1e-12 * np.abs(exact).max()
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)


def parts_merged(parts):
    moments = Moments.from_rows(parts[0])
    for part in parts[1:]:
        moments = moments.merge(Moments.from_rows(part))
    return moments


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_of_16_bits_are_summed_in_64(dtype):
    """Lesson 2: the models' dtype never reaches an accumulator. Lesson 3: fp16 sums overflow.

    50,000 rows around 9 with a spread of 1: a sum in bfloat16 stands still at 4,096, where half its
    last digit is above 9, and one in float16 is infinite after 7,280 rows.
    """
    plan, place = plan_of([50] * 1000), ("mlp_act", 0)
    (position,) = find_positions(plan, ["all"], 0)
    generator = torch.Generator().manual_seed(8)
    base = (9 + torch.randn(50_000, 6, generator=generator)).to(dtype)
    aligned = (base.float() + 9 + torch.randn(50_000, 6, generator=generator)).to(dtype)
    reduction = Reduction(dense=True, neurons=True)
    for members in cut_batches(plan, np.arange(1000), 5000):
        batch = pad_batch(plan, members, [position])
        (view,) = row_views(plan, batch, [position], "cpu")
        own, others = ({place: view.rows(rows[batch.tokens])} for rows in (base, aligned))
        (offset,) = form_offsets(own, others, [place])
        norms = [torch.linalg.vector_norm(rows, dim=1) for rows in (offset.delta, offset.base)]
        reduction.add(view, offset.delta, (norms[0], norms[1]))
        reduction.add_neurons(offset.base, offset.aligned)
    found = reduction.finish(lambda tensor: tensor)()

    exact, exact_base = (aligned.double() - base.double()).numpy(), base.double().numpy()
    np.testing.assert_allclose(found.moments.mean, exact.mean(axis=0), rtol=1e-7)
    scatter = found.moments.scatter.dense() / (len(exact) - 1)
    np.testing.assert_allclose(scatter, np.cov(exact.T), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.neurons.base, exact_base.sum(axis=0), rtol=1e-9)
    squares = np.square(aligned.double().numpy()).sum(axis=0)
    np.testing.assert_allclose(found.neurons.aligned_square, squares, rtol=1e-7)
    assert base.sum(dim=0, dtype=dtype).isfinite().all() == (dtype == torch.bfloat16)


def test_blocks_of_the_symmetric_product_join_to_the_whole():
    (position,) = find_positions(PLAN, ["all"], 0)
    batch = pad_batch(PLAN, np.arange(10), [position])
    (view,) = row_views(PLAN, batch, [position], "cpu")
    wide = np.random.default_rng(4).normal(size=(57, 600)).astype(np.float32)  # two blocks and some
    delta = torch.from_numpy(wide[batch.tokens])
    norms = torch.linalg.vector_norm(delta, dim=1)
    reduction = Reduction(dense=True, neurons=False)
    reduction.add(view, delta, (norms, norms))
    found = reduction.finish(lambda tensor: tensor)().moments.scatter.dense()
    centred = wide - wide.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(found, centred.T @ centred, atol=1e-4)
