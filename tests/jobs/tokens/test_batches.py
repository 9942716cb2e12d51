"""Units and batches: whole prompts of one group, inside the budget; padding is never selected."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.tokens.batches import cut_batches, cut_units, pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import find_positions

lengths_and_groups = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 4)), min_size=1, max_size=40
)


def plan_of(shape):
    lengths = np.array([length for length, _ in shape])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    num_tokens = offsets[-1]
    within = np.arange(num_tokens) - np.repeat(offsets[:-1], lengths)
    answers = within >= np.repeat((lengths + 1) // 2, lengths)
    return TokenPlan(
        prompts=np.arange(len(lengths)) + 100,
        groups=np.array([group for _, group in shape]),
        offsets=offsets,
        token_ids=np.arange(num_tokens, dtype=np.int32) + 1,
        roles=np.where(answers, 2, 1).astype(np.int8),
        segments=answers.astype(np.int16),
        final_segments=np.ones(len(lengths), dtype=np.int16),
    )


@given(lengths_and_groups, st.integers(1, 100))
def test_units_hold_every_prompt_once_and_one_group_each(shape, unit_tokens):
    plan = plan_of(shape)
    found = cut_units(plan, unit_tokens)
    assert sorted(np.concatenate([unit.members for unit in found])) == list(range(len(shape)))
    assert [unit.number for unit in found] == list(range(len(found)))
    for unit in found:
        assert set(plan.groups[unit.members]) == {unit.group}
        assert unit.num_tokens == plan.lengths[unit.members].sum()
        assert unit.num_tokens <= unit_tokens or len(unit.members) == 1


@given(lengths_and_groups, st.integers(1, 100))
def test_batches_hold_every_prompt_once_within_the_budget(shape, budget):
    plan = plan_of(shape)
    everyone = np.arange(len(shape))
    batches = cut_batches(plan, everyone, budget)
    assert sorted(np.concatenate(batches)) == list(everyone)
    for batch in batches:
        size = len(batch) * plan.lengths[batch].max()
        assert size <= budget or len(batch) == 1
    longest = [plan.lengths[batch].max() for batch in batches]
    assert longest == sorted(longest)


@given(lengths_and_groups, st.randoms(use_true_random=False))
def test_padding_is_masked_and_never_selected(shape, random):
    """Lesson 17: lengths are carried; an id says nothing about padding where pad = EOS."""
    plan = plan_of(shape)
    order = list(range(len(shape)))
    random.shuffle(order)
    wanted = find_positions(plan, ["last", "response", "mean"], 5)
    batch = pad_batch(plan, np.array(order), wanted)
    assert batch.attention_mask.sum(axis=1).tolist() == plan.lengths[order].tolist()
    assert ((batch.token_ids > 0) == (batch.attention_mask == 1)).all()
    flat = batch.token_ids.ravel()
    for position in wanted:
        chosen = flat[batch.gathered[batch.selected[position.label]]]
        assert sorted(chosen) == (np.flatnonzero(position.tokens) + 1).tolist()
    owners = np.array(order)[batch.owners]
    assert (plan.owners[flat[batch.gathered] - 1] == owners).all()
