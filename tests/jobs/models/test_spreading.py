"""A model in two places reads as the same model in one."""

import pytest
import torch

from cluster.errors import SurroundingsError, UserError
from jobs.models.device import place_of, spread
from jobs.models.family import SITES, Missing, family_of_config
from jobs.models.loading import load_model, save_checkpoint
from jobs.taps.activations import Inputs, read_activations
from jobs.tokens.batches import pad_batch
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions

PROMPTS = [
    {
        "prompt": number,
        "group": number,
        "segments": [{"role": "prompt", "text": " word1" * (3 + number)}],
    }
    for number in range(4)
]


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_blocks_on_two_devices_give_the_bits_of_one(family, tiny_model, word_tokenizer, tmp_path):
    """The second device is the disk, from which blocks come when it is their turn."""
    tokenizer = word_tokenizer(eos_token="<end>")
    save_checkpoint(tiny_model(family, num_layers=4, max_positions=32), tokenizer, tmp_path)
    whole = load_model(tmp_path)
    found = spread(tmp_path, ["cpu", "disk"])
    blocks = family_of_config(whole.config).BLOCKS
    where = [found[f"{blocks}.{layer}"] for layer in range(4)]
    assert where == ["cpu", "cpu", "disk", "disk"]
    split = load_model(tmp_path, device=found)
    plan, _ = build_token_plan(PROMPTS, tokenizer, 32)
    batch = pad_batch(plan, torch.arange(4).numpy(), find_positions(plan, ["all"], 0))
    sites = family_of_config(whole.config).sites(whole.config)
    places = [
        (site, layer)
        for site in SITES
        if not isinstance(sites[site], Missing)
        for layer in range(4)
    ]
    for _ in range(2):  # the first one stops in the middle of a block that had come from the disk
        one, two = (
            read_activations(model, Inputs(batch, "cpu"), places) for model in (whole, split)
        )
        for place in places:
            assert torch.equal(one[place], two[place]), place


def test_blocks_lie_in_order_and_equally_many_on_each_device(tiny_model, word_tokenizer, tmp_path):
    save_checkpoint(tiny_model("llama", num_layers=8), word_tokenizer(), tmp_path)
    found = spread(tmp_path, [0, 1, 2, 3])
    assert [found[f"model.layers.{layer}"] for layer in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert (found["model.embed_tokens"], found["model.norm"]) == (0, 3)


@pytest.mark.parametrize(
    ("visible", "fault"),
    [("MIG-a1,MIG-b2", UserError), ("GPU-a1,GPU-b2", SurroundingsError)],
)
def test_fewer_gpus_than_were_given_are_told_before_anything_is_loaded(
    monkeypatch, tmp_path, visible, fault
):
    """CUDA shows a process one part of a GPU at most, however many it was given."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(fault):
        place_of(tmp_path, 2)
    assert place_of(tmp_path, 1) == "cuda"
