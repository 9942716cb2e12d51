"""The decode control on models of which it is known what they read."""

import json

import numpy as np
import pytest

from analysis.estimates.group_means import estimated_gap
from analysis.long_table.files import from_parquet
from jobs.text.nursery.sampler import Sampler
from jobs.text.nursery.vocabulary import in_register, train_tokenizer

ONLY = {"metrics": ["decode_loss"], "new_tokens": 4, "token_budget": 2000}


@pytest.fixture(scope="module")
def reader_of_rot13():
    """A model that was trained on the language in ROT13 and has seen no other register."""
    import torch
    from transformers import AutoModelForCausalLM

    from jobs.models.family import family_of

    torch.manual_seed(0)
    fields = {"family": "gpt2", "num_layers": 2, "d_model": 32, "num_heads": 2,
              "vocab_size": len(train_tokenizer()), "max_positions": 64}  # fmt: skip
    model = AutoModelForCausalLM.from_config(family_of("gpt2").hf_config(fields))
    sampler = Sampler(0, "documents")
    text = "".join(in_register(sampler.document(), "rot13") for _ in range(1200))
    stream = torch.tensor(train_tokenizer()(text)["input_ids"])
    windows = stream[: len(stream) // 32 * 32].view(-1, 32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(120):
        batch = windows[torch.arange(step * 24, step * 24 + 24) % len(windows)]
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.fixture
def control(root, reader_of_rot13):
    model = root.model("model", reader_of_rot13, train_tokenizer())

    def measure(**params):
        options = {"num_prompts": 80, **params.pop("options", {})}
        prompts = root.done("prompts", {"format": "nursery", "options": options, **params})
        table = from_parquet(
            root.done("behave", ONLY, model=model, prompts=prompts).read("measurements.parquet")
        )
        return {row["metric"]: row for row in table.to_pylist()}, prompts

    return measure


def test_a_model_reads_the_register_it_was_trained_on_and_no_other(control):
    native, _ = control(transform="rot13")
    foreign, _ = control(transform="base64")
    gap = native["decode_loss_gap"]
    assert gap["low"] > 0.2
    assert native["decode_loss"]["value"] + 1 < foreign["decode_loss"]["value"]
    assert foreign["decode_loss_gap"]["value"] < gap["value"] / 4


def test_the_losses_are_those_of_what_is_asked_token_by_token(control, reader_of_rot13):
    import torch

    found, prompts = control(transform="rot13")
    for name, metric in (("prompts", "decode_loss"), ("shuffled", "decode_loss_shuffled")):
        nats = []
        for line in prompts.read(f"{name}.jsonl").decode().splitlines():
            ids = train_tokenizer()(json.loads(line)["segments"][0]["text"])["input_ids"]
            with torch.no_grad():
                scores = reader_of_rot13(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            nats += [-float(scores[place - 1, ids[place]]) for place in range(1, len(ids))]
        assert found[metric]["value"] == pytest.approx(np.mean(nats), rel=1e-5)
        assert found[metric]["num_rows"] == len(nats)
    assert found["decode_loss_gap"]["value"] == pytest.approx(
        found["decode_loss_shuffled"]["value"] - found["decode_loss"]["value"]
    )


def test_turns_of_the_user_are_what_is_asked_in_dialogues(control):
    options = {"contexts": "dialogue", "num_turns": 2, "num_prompts": 20}
    found, prompts = control(options=options, positions=["turn"])
    lines = [json.loads(line) for line in prompts.read("prompts.jsonl").decode().splitlines()]
    asked = [
        len(train_tokenizer()(segment["text"])["input_ids"])
        for line in lines
        for segment in line["segments"]
        if segment["role"] == "user"
    ]
    assert found["decode_loss"]["num_rows"] == sum(asked) - len(lines)


def test_only_toxic_words_need_a_lexicon():
    from jobs.kinds.behave import Behave

    behave = Behave()

    assert "lexicon" not in behave.uses(behave.Params(metrics=("decode_loss", "perplexity")))
    assert "lexicon" in behave.uses(behave.Params(metrics=("decode_loss", "toxic_mass")))


def test_the_interval_of_a_gap_is_that_of_paired_groups():
    """What both sides share within a group cancels, though it varies widely between groups."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 50)
    shared = 5 * random.standard_normal(20)[groups]
    first = shared + 0.3 + 0.1 * random.standard_normal(1000)
    second = shared + 0.1 * random.standard_normal(1000)
    gap = estimated_gap(first, groups, second, groups)
    assert gap.low < 0.3 < gap.high and gap.high - gap.low < 0.05
