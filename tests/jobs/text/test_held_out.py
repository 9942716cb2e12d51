from hypothesis import given
from hypothesis import strategies as st

from jobs.text.buckets import group_of
from jobs.text.held_out import is_held_out, pairs_to_train_on, prompts_to_measure
from jobs.text.reading import Pair

PROMPTS = [f"prompt number {number}" for number in range(2000)]


def pairs():
    return [
        Pair(row=row, prompt=prompt, chosen=" yes", rejected=" no")
        for row, prompt in enumerate(PROMPTS, start=1)
    ]


def test_about_the_asked_fraction_is_held_out_in_every_group():
    held_out = [prompt for prompt in PROMPTS if is_held_out(prompt, 0.25)]
    assert 0.2 < len(held_out) / len(PROMPTS) < 0.3
    assert {group_of(prompt) for prompt in held_out} == set(range(20))


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_fraction_holds_out_the_same_and_more(prompt, one, other):
    small, large = sorted((one, other))
    assert is_held_out(prompt, large) or not is_held_out(prompt, small)


def test_training_and_measurement_share_no_prompt_and_lose_none():
    trained = pairs_to_train_on(pairs(), 0.3)
    measured = prompts_to_measure(pairs(), 0.3)
    ours, theirs = {p.prompt for p in trained.items}, {p.source for p in measured.items}
    assert not ours & theirs and ours | theirs == set(PROMPTS)
    assert len(trained.dropped) == len(measured.items)


def test_nothing_held_out_means_all_are_trained_on_and_all_can_be_measured():
    assert len(pairs_to_train_on(pairs(), 0).items) == len(PROMPTS)
    assert len(prompts_to_measure(pairs(), 0).items) == len(PROMPTS)
