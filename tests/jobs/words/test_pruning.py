"""The threshold that a sample gives, against a search at every threshold."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.words.pruning import LEAST_MARGIN, Steps, largest_threshold, threshold_for_others


def tree_of(seed, num=400):
    """Random nodes, each with a part of what its parent has left; every third one is a leaf."""
    draw = np.random.default_rng(seed)
    masses, rest, parents = [1.0], [1.0], [-1]
    for number in range(1, num):
        parent = int(draw.integers(0, number))
        while parent % 3 == 2:
            parent -= 1
        masses.append(rest[parent] * draw.uniform(0, 0.4))
        rest[parent] -= masses[-1]
        rest.append(masses[-1])
        parents.append(parent)
    return np.array(masses), np.array(parents)


def sums_at(threshold, masses, parents):
    """Follow what is above a threshold, node by node."""
    left = counted = 0.0
    for number, (mass, parent) in enumerate(zip(masses, parents, strict=True)):
        if parent >= 0 and not masses[parent] > threshold:
            continue
        if number % 3 == 2:
            counted += mass
        elif not mass > threshold:
            left += mass
    return left, counted


def steps_of(masses, parents, owner):
    """What a search down to nothing would keep."""
    leaves = np.arange(len(masses)) % 3 == 2
    reached = np.where(parents < 0, np.inf, masses[parents])
    inner = masses[~leaves]
    return Steps(
        owners=np.full(len(masses) + len(inner), owner),
        below=np.concatenate([reached, inner]),
        left=np.concatenate([np.where(leaves, 0.0, masses), -inner]),
        counted=np.concatenate([np.where(leaves, masses, 0.0), np.zeros(len(inner))]),
    )


@given(seed=st.integers(0, 1000), share=st.floats(1e-4, 0.9))
@example(seed=285, share=0.2421875)
@settings(max_examples=20, deadline=None)
def test_it_leaves_as_little_as_is_asked_for_and_no_threshold_above_it_does(seed, share):
    trees = [tree_of(seed), tree_of(seed + 1)]
    steps = Steps.joined([steps_of(*tree, owner) for owner, tree in enumerate(trees)])
    found = largest_threshold(steps, share)
    assert found is not None

    def is_enough(threshold):
        left, counted = np.sum([sums_at(threshold, *tree) for tree in trees], axis=0)
        return left <= share * (left + counted) + 1e-12

    assert is_enough(found)
    assert found == 1.0 or not is_enough(found * 2 ** (1 / 16))


def test_prompts_are_told_apart_and_too_little_is_none():
    trees = [tree_of(3), tree_of(4)]
    steps = Steps.joined([steps_of(*tree, owner) for owner, tree in enumerate(trees)])
    alone = [steps.of(np.arange(2) == owner) for owner in range(2)]
    for owner, tree in enumerate(trees):
        assert largest_threshold(alone[owner], 0.05) == largest_threshold(
            steps_of(*tree, owner), 0.05
        )
    shallow = steps.left > -np.inf
    shallow &= steps.below > 0.3
    cut = Steps(**{name: getattr(steps, name)[shallow] for name in vars(steps)})
    assert largest_threshold(cut, 1e-6) is None


def test_the_last_bits_of_masses_decide_nothing():
    masses, parents = tree_of(7)
    found = largest_threshold(steps_of(masses, parents, 0), 0.02)
    noisy = masses * (1 + 1e-7 * np.random.default_rng(0).normal(size=len(masses)))
    assert largest_threshold(steps_of(noisy, parents, 0), 0.02) == pytest.approx(found, abs=0)


def test_a_sample_rarely_leaves_too_much_of_others_and_never_prunes_beyond_its_bound():
    share, forests = 0.05, []
    draw = np.random.default_rng(11)
    for number in range(240):  # few prompts hold most of the mass
        tree = steps_of(*tree_of(number, 60), number)
        weight = draw.lognormal(0, 1)
        forests.append(
            Steps(
                owners=tree.owners,
                below=tree.below * weight,
                left=tree.left * weight,
                counted=tree.counted * weight,
            )
        )
    excesses = {"as it is": 0, "for others": 0}
    for _ in range(40):
        order = draw.permutation(240)
        pilot, others = (
            Steps.joined([forests[n] for n in part]) for part in (order[:24], order[24:])
        )
        plain, safe = largest_threshold(pilot, share), threshold_for_others(pilot, share)
        assert largest_threshold(pilot, LEAST_MARGIN * share) <= safe <= plain
        for name, threshold in (("as it is", plain), ("for others", safe)):
            taken = others.below > threshold
            left, counted = others.left[taken].sum(), others.counted[taken].sum()
            excesses[name] += left > share * (left + counted)
    assert excesses["for others"] <= 6 < 12 <= excesses["as it is"]
