"""What models say by themselves: the divergence along it, and how much the pairs are like it."""

import numpy as np
import pytest
import torch

from jobs.preferring.sampling import by_inverse_transform, drawn_for, sample
from tests.jobs.preferring.conftest import rows_of_pairs, write_request
from tests.jobs.preferring.test_preferences import ids_of, scores, values_of


def said_by(model, prompt, draws):
    """Continue one prompt by itself; the divergence is taken at every output on the way."""
    ids, said, end = ids_of(prompt), [], model.config.eos_token_id
    for draw in draws:
        with torch.no_grad():
            p = model(torch.tensor([ids])).logits[0, -1].double().softmax(-1)
        token = int((p.cumsum(-1) <= draw).sum())
        yield ids, p.log()
        if token == end:
            return
        said.append(token)
        ids = [*ids, token]


def test_kl_is_that_of_every_output_of_each_continuation_by_itself(given, models):
    root, inputs = given
    base, aligned = models
    params = {"new_tokens": 5, "token_budget": 60, "metrics": ["kl_per_token"], "seed": 3}
    row = values_of(root.done("preferences", params, **inputs))["kl_per_token"]
    nats = []
    for pair in (row for row in rows_of_pairs() if row["split"] != "train"):
        draws = np.random.default_rng([3, pair["pair"]]).random(5)
        for ids, p in said_by(aligned, pair["prompt"], draws):
            with torch.no_grad():
                q = base(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)
            nats.append(float((p.exp() * (p - q)).sum()))
    assert row["num_rows"] == len(nats)
    assert row["value"] == pytest.approx(np.mean(nats), rel=1e-4)
    assert 0 <= row["floor"] < 1e-6 < row["low"] < row["value"]


def test_the_sampled_tokens_do_not_depend_on_batches_and_follow_the_distribution(models):
    base, _ = models
    prompts = [[2 + number % 20] * (1 + number % 3) for number in range(90)]
    draws = drawn_for(range(90), 2, seed=1)
    common = {"vocab_size": base.config.vocab_size, "num_positions": 32}
    together = sample(base, prompts, draws, token_budget=4000, **common)
    alone = sample(base, prompts, draws, token_budget=5, **common)
    assert together.answers == alone.answers
    logits = torch.randn(1, 22, generator=torch.Generator().manual_seed(0))
    choose = by_inverse_transform(np.random.default_rng(0).random((20_000, 1)), 22)
    drawn = choose(logits.expand(20_000, 22), range(20_000), 0)
    counted = torch.bincount(drawn, minlength=22) / 20_000
    torch.testing.assert_close(counted, logits[0].softmax(-1), atol=0.012, rtol=0)


def test_tokens_beyond_what_both_models_know_are_never_sampled():
    logits = torch.zeros(3, 10)
    choose = by_inverse_transform(np.array([[0.0], [0.5], [1 - 1e-16]]), 4)
    assert choose(logits, range(3), 0).tolist() == [0, 2, 3]


def test_pairs_that_the_base_wrote_itself_are_on_policy_and_others_are_not(given, models):
    root, inputs = given
    base, _ = models
    rows = [{**row, "split": "test"} for row in rows_of_pairs(400)]
    prompts = [ids_of(row["prompt"]) for row in rows]
    draws = drawn_for(range(5000, 5400), 4, seed=9)
    common = {"vocab_size": 22, "num_positions": 32, "token_budget": 4000}
    own = sample(base, prompts, draws, **common).answers
    words = [" ".join(f"word{token - 2}" for token in answer if token >= 2) for answer in own]
    written = [row | {"chosen": text} for row, text in zip(rows, words, strict=True) if text]
    pairs = root.parquet("own words", "pairs", written)
    write_request(inputs["aligned"], {"objective": "unaligned"}, model=inputs["base"])
    params = {"new_tokens": 4, "token_budget": 4000, "metrics": ["on_policy_chosen"]}
    found = values_of(root.done("preferences", params, **{**inputs, "pairs": pairs}))
    row = found["on_policy_chosen"]
    assert row["low"] < 0 < row["high"] and row["high"] - row["low"] < 1
    others = root.parquet("others' words", "pairs", rows)
    far = values_of(root.done("preferences", params, **{**inputs, "pairs": others}))
    assert far["on_policy_chosen"]["high"] < 0
    sides = [far[f"on_policy_chosen_{what}"]["value"] for what in ("logp", "own_logp")]
    assert sides[0] - sides[1] == pytest.approx(far["on_policy_chosen"]["value"])
    chosen = [scores(base, row["prompt"], row["chosen"]).mean() for row in rows[:50]]
    assert np.mean(chosen) < sides[1]
