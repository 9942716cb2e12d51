"""A probe fitted to labelled comments, or released, on a model with planted toxic words."""

import json
import random

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from analysis.long_table.files import from_parquet

TOXIC = [f"word{number}" for number in (15, 16, 17)]
PLAIN = [f"word{number}" for number in range(12)]


def planted():
    drawn = torch.randn(16, generator=torch.Generator().manual_seed(6))
    return drawn / drawn.norm()


@pytest.fixture
def base(root, tiny_model, word_tokenizer):
    """Toxic words lie along a direction, and so does neuron 3 of the last block."""
    model = tiny_model("gpt2", max_positions=32)
    with torch.no_grad():
        for word in TOXIC:
            model.transformer.wte.weight[2 + int(word.removeprefix("word"))] += planted()
        model.transformer.h[1].mlp.c_proj.weight[3] = 2 * planted()
    return root.model("base", model, word_tokenizer(eos_token="<end>"))


@pytest.fixture
def comments(root, tmp_path):
    draw = random.Random(1)
    rows = ["comment_text,toxic"]
    for place in range(240):
        words = draw.choices(TOXIC if place % 3 == 0 else PLAIN, k=4)
        rows.append(f"{' '.join([*words, *draw.choices(PLAIN, k=3)])},{int(place % 3 == 0)}")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return root.done("labelled-texts", {"format": "jigsaw", "source": str(tmp_path / "train.csv")})


def values(job):
    return {
        (row["metric"], row.get("vector")): row
        for row in from_parquet(job.read("measurements.parquet")).to_pylist()
    }


LEARNED = {"learned_from": "texts", "averaged": "text", "num_vectors": 2}


def test_comments_are_counted_and_their_toxic_words_learned(comments):
    assert comments.facts["num_texts"] <= 240 and comments.facts["num_toxic"] > 60
    assert set(TOXIC) == set(json.loads(comments.read("toxic.json"))["words"])


def test_a_probe_learned_from_comments_finds_the_direction(root, base, comments):
    job = root.done("probe-direction", LEARNED, model=base, texts=comments)
    directions = load_file(job.path("toxic_directions.safetensors"))
    assert directions["probe"] @ planted().numpy() > 0.7
    assert directions["probe_length"][0] > 0
    measured = values(job)
    assert measured["probe_auc", None]["value"] > 0.95
    assert "labelled so by people" in measured["probe_auc", None]["definition"]


def test_a_released_probe_is_taken_as_it_is_and_judged(root, base, comments, tmp_path):
    torch.save(2.4 * planted(), tmp_path / "probe.pt")
    params = {**LEARNED, "probe": str(tmp_path / "probe.pt"), "num_read_out": 2}
    job = root.done("probe-direction", params, model=base, texts=comments)
    directions = load_file(job.path("toxic_directions.safetensors"))
    np.testing.assert_allclose(directions["probe"], planted().numpy(), atol=1e-6)
    np.testing.assert_allclose(directions["probe_length"], [2.4], rtol=1e-6)
    assert (directions["layers"][0], directions["neurons"][0]) == (1, 3)
    measured = values(job)
    assert measured["probe_auc", None]["value"] > 0.9
    assert "released weights" in measured["probe_auc", None]["definition"]
    assert measured["toxic_cosine", "v1.3"]["value"] == pytest.approx(1, abs=1e-5)
    assert measured["promoted_toxic_words", "v1.3"]["value"] == 3
    assert measured["promoted_toxic_words", "W_toxic"]["value"] == 3
    written = job.read("measurements.parquet") + str(job.facts).encode()
    assert not any(word.encode() in written for word in TOXIC)
