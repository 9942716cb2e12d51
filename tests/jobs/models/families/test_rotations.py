"""However positions are turned, a text gives the same numbers alone as among others."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from jobs.behaviour.decoding import decode
from jobs.models.family import family_of_config
from jobs.taps.activations import batches_of, read_activations
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions

POSITIONS, ORIGINAL, NUM_TOKENS = 48, 12, 4
STRETCHED = {"factor": 4.0, "original_max_position_embeddings": ORIGINAL}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3],
    "long_factor": [4.0, 3.0, 2.0, 5.0],
    **STRETCHED,
}
ROTATIONS = {
    "linear": {"rope_type": "linear", "factor": 3.0},
    "dynamic": {"rope_type": "dynamic", "factor": 3.0},
    "yarn": {"rope_type": "yarn", **STRETCHED},
    "llama3": {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, **STRETCHED},
    "longrope": LONGROPE,
    "longrope, older": {"type": "longrope", **LONGROPE, "rope_type": "longrope"},
}
NAMES = [f"rope_{name}" for name in ("parameters", "scaling")]


def settings(rotation, name="rope_scaling"):
    """A config.json of the hub."""
    return {
        "model_type": "llama",
        "vocab_size": 22,
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": POSITIONS,
        "rope_theta": 1000.0,
        "eos_token_id": None,
        name: dict(rotation),
    }


def random_model(rotation):
    written = settings(rotation)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = AutoConfig.for_model(written.pop("model_type"), **written)
        model = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(12 if parameter.ndim > 1 else 1)
    return model


@pytest.mark.parametrize("rotation", ROTATIONS.values(), ids=ROTATIONS)
def test_a_text_is_what_it_is_alone(rotation, word_tokenizer, said_alone):
    """Of as many tokens as the model is said to have positions, and of few."""
    model = random_model(rotation)
    longest = family_of_config(settings(rotation)).shape(settings(rotation)).max_positions
    draw = np.random.default_rng(2)
    texts = [draw.integers(0, 20, length) for length in (1, 5, ORIGINAL - 1, longest)]
    lines = [
        {
            "prompt": number,
            "group": number,
            "segments": [{"role": "prompt", "text": " ".join(f"word{word}" for word in text)}],
        }
        for number, text in enumerate(texts)
    ]
    plan, _ = build_token_plan(lines, word_tokenizer(), longest)
    positions = find_positions(plan, ["all"], 0)
    place = ("resid_post", 1)
    read = []
    for budget in (1, 10_000):
        rows = np.zeros((len(plan.token_ids), 16), np.float32)
        for batch, inputs in batches_of(plan, positions, "cpu", budget):
            rows[batch.tokens] = read_activations(model, inputs, [place])[place].numpy()
        read.append(rows)
    np.testing.assert_allclose(*read, atol=1e-4)
    prompts = [(text[: longest - NUM_TOKENS] + 2).tolist() for text in texts]
    assert decode(model, prompts, NUM_TOKENS, token_budget=10_000) == said_alone(
        model, prompts, NUM_TOKENS
    )


@pytest.mark.parametrize("name", NAMES)
def test_longrope_has_as_many_positions_as_it_turns_alike(name):
    """Beyond them transformers turns every text of a batch otherwise."""
    hub = settings(LONGROPE, name)
    family = family_of_config(hub)
    assert family.shape(hub).max_positions == ORIGINAL
    assert family.shape(random_model(LONGROPE).config).max_positions == ORIGINAL
    outside = {k: v for k, v in LONGROPE.items() if not k.startswith("original")}
    phi_3 = {**settings(outside, name), "original_max_position_embeddings": 20}
    assert family.shape(phi_3).max_positions == 20
    assert family.shape(settings(outside, name)).max_positions == POSITIONS
    by_layer = settings({"full_attention": LONGROPE, "sliding_attention": {}}, name)
    assert family.shape(by_layer).max_positions == ORIGINAL
    yarn = settings(ROTATIONS["yarn"], name)
    assert family.shape(yarn).max_positions == POSITIONS
