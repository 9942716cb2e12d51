"""Perplexity in windows against one forward pass per window, as papers' scripts compute it."""

import numpy as np
import pytest
import torch

from analysis.long_table.files import from_parquet
from cluster.errors import UserError
from jobs.behaviour.behave_params import BehaveParams


@pytest.fixture
def document(root):
    words = [f"word{place * 7 % 20}" for place in range(150)]
    segments = [{"role": "response", "text": " ".join(words)}]
    return root.prompts(
        "document", [{"prompt": 0, "group": 3, "segments": segments}], transform="plain"
    ), [2 + place * 7 % 20 for place in range(150)]


@pytest.mark.parametrize(("max_length", "width"), [(None, 32), (12, 12)])
def test_every_window_is_read_by_itself(
    root, tiny_model, word_tokenizer, document, max_length, width
):
    model = tiny_model("gpt2", max_positions=32).eval()
    prompts, ids = document
    params = {"metrics": ["window_perplexity"], "max_length": max_length, "token_budget": 40}
    job = root.done(
        "behave", params, model=root.model("base", model, word_tokenizer()), prompts=prompts
    )
    (row,) = from_parquet(job.read("measurements.parquet")).to_pylist()
    losses = []
    for start in range(0, len(ids), width):
        window = torch.tensor([ids[start : start + width]])
        with torch.no_grad():
            logits = model(window).logits[0, :-1].double()
        loss = torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="none")
        losses += loss.tolist()
    assert row["value"] == pytest.approx(np.exp(np.mean(losses)), rel=1e-5)
    assert row["low"] < row["value"] < row["high"]
    assert f"{width} tokens" in row["definition"]


def test_every_window_begins_with_the_bos_that_texts_begin_with(
    root, tiny_model, word_tokenizer, document
):
    from tokenizers import processors

    model, width = tiny_model("llama", max_positions=32).eval(), 12
    tokenizer = word_tokenizer(bos_token="<end>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<end> $A", special_tokens=[("<end>", 1)]
    )
    prompts, ids = document
    params = {"metrics": ["window_perplexity"], "max_length": width}
    job = root.done("behave", params, model=root.model("base", model, tokenizer), prompts=prompts)
    (row,) = from_parquet(job.read("measurements.parquet")).to_pylist()
    losses = []
    for start in range(0, len(ids), width - 1):
        window = torch.tensor([[1, *ids[start : start + width - 1]]])
        with torch.no_grad():
            logits = model(window).logits[0, :-1].double()
        losses += torch.nn.functional.cross_entropy(
            logits, window[0, 1:], reduction="none"
        ).tolist()
    assert len(losses) == len(ids)
    assert row["value"] == pytest.approx(np.exp(np.mean(losses)), rel=1e-5)


def test_whole_texts_are_measured_alone():
    with pytest.raises(UserError, match="a stage of its own"):
        BehaveParams(metrics=("window_perplexity", "toxic_rate"))
