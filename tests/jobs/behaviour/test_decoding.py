"""Continuations in batches with padding and a cache, against one whole forward pass a token."""

import pytest
import torch

from jobs.behaviour.decoding import decode
from jobs.models.family import names

PROMPTS = [[3, 7, 5], [9], [4, 4, 8, 11, 2, 6], [12, 3]]
NUM_TOKENS = 5


@pytest.mark.parametrize("family", names())
def test_every_family_says_in_a_batch_what_it_says_alone(family, decided_model, said_alone):
    model = decided_model(family)
    expected = said_alone(model, PROMPTS, NUM_TOKENS)
    assert decode(model, PROMPTS, NUM_TOKENS, token_budget=1000) == expected
    assert len({tuple(each) for each in expected}) > 1


def test_a_choice_is_told_which_prompts_it_chooses_for_and_how_far_they_are(tiny_model):
    model = tiny_model("gpt2").eval()
    told = []

    def choose(logits, prompts, num_said):
        told.append((tuple(prompts), num_said, len(logits)))
        return torch.tensor([10 + prompt for prompt in prompts])

    model.config.eos_token_id = model.generation_config.eos_token_id = None
    said = decode(model, PROMPTS, 2, token_budget=16, choose=choose)
    assert said == [[10, 10], [11, 11], [12, 12], [13, 13]]
    assert told == [((2, 0), 0, 2), ((2, 0), 1, 2), ((3, 1), 0, 2), ((3, 1), 1, 2)]
