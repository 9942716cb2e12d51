"""Every node of a tree gives the logits of its path as a text of its own, in every family."""

import numpy as np
import pytest

from jobs.models.family import names
from jobs.words.tree_passes import TreeRows, empty_cache, forward_tree

LENGTHS = (9, 4, 12)
PATHS = [[(5,), (5, 6), (5, 6, 7)], [(8,), (9,)], [(5,), (5, 6), (5, 7)]]
TREE = TreeRows(
    rows=np.array([0, 2, 2]),
    lengths=np.array([9, 12, 7]),
    tokens=np.array([[5, 6, 7], [8, 9, 0], [5, 6, 7]]),
    parents=np.array([[-1, 0, 1], [-1, -1, -1], [-1, 0, 0]]),
    depths=np.array([[1, 2, 3], [1, 1, 1], [1, 2, 2]]),
)

SHARED = TreeRows(  # the first and the last prompt's nodes stand in one row
    rows=TREE.rows,
    lengths=TREE.lengths,
    tokens=np.array([[5, 5, 6, 6, 7, 7], [8, 9, 0, 0, 0, 0]]),
    parents=np.array([[-1, -1, 0, 1, 2, 1], [-1, -1, -1, -1, -1, -1]]),
    depths=np.array([[1, 1, 2, 2, 3, 2], [1, 1, 1, 1, 1, 1]]),
    owners=np.array([[0, 2, 0, 2, 0, 2], [1, 1, -1, -1, -1, -1]]),
)


def spread(model):
    """Scale the weights, so that what is attended to shows in the logits."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model.eval()


def forwarded(model):
    """Forward three prompts of different lengths together; return their tokens and the cache."""
    import torch

    draw = torch.Generator().manual_seed(5)
    tokens = torch.randint(3, model.config.vocab_size, (3, 12), generator=draw)
    mask = torch.arange(12) < torch.tensor(LENGTHS)[:, None]
    cache = empty_cache()
    with torch.inference_mode():
        model(
            input_ids=tokens * mask,
            attention_mask=mask.long(),
            position_ids=torch.arange(12).expand(3, -1),
            past_key_values=cache,
            use_cache=False,
        )
    return tokens, cache


def largest_difference(model):
    import torch

    tokens, cache = forwarded(model)
    alone, shared = (forward_tree(model, cache, tree) for tree in (TREE, SHARED))
    worst = 0.0
    for place, paths in enumerate(PATHS):
        prompt = tokens[TREE.rows[place], : TREE.lengths[place]]
        lane, columns = np.nonzero(SHARED.owners == place)
        for column, path in enumerate(paths):
            text = torch.cat([prompt, torch.tensor(path)])[None]
            with torch.inference_mode():
                expected = model(input_ids=text, use_cache=False).logits[0, -1]
            assert expected.std() > 0.01, "a model that says the same everywhere shows nothing"
            for logits in (alone[place, column], shared[lane[column], columns[column]]):
                worst = max(worst, float((expected - logits).abs().max()))
    return worst


@pytest.mark.parametrize("family", names())
def test_a_node_sees_its_path_alone(tiny_model, family):
    assert largest_difference(spread(tiny_model(family, max_positions=32))) < 1e-4


@pytest.mark.parametrize("family", ["mistral", "gemma2", "gemma3_text", "qwen2", "qwen3"])
def test_attention_that_slides_reaches_as_far_as_in_a_text(tiny_model, family):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = tiny_model(family, max_positions=32).config.to_dict() | {"sliding_window": 5}
    config |= {"layer_types": None, "use_sliding_window": True, "max_window_layers": 1}
    if family == "mistral":
        config.pop("layer_types")
    model = AutoModelForCausalLM.from_config(
        AutoConfig.for_model(config.pop("model_type"), **config)
    )
    assert model.config.sliding_window == 5
    assert largest_difference(spread(model)) < 1e-4


def test_the_cache_of_prompts_stays_as_it_was(tiny_model):
    model = spread(tiny_model("llama", max_positions=32))
    _, cache = forwarded(model)
    before = [layer.keys.clone() for layer in cache.layers]
    forward_tree(model, cache, TREE)
    assert all((layer.keys == kept).all() for layer, kept in zip(cache.layers, before, strict=True))
