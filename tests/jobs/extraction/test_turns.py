"""Turns of dialogues: drift of a planted offset that weakens from turn to turn is what is found."""

import copy
import random

import pytest
import torch

from analysis.long_table.files import from_parquet
from tests.jobs.extraction.silent_blocks import silence_blocks

WORDS_PER_SEGMENT = 3
STRENGTH = {1: 1.0, 2: 0.75, 3: 0.5}
"""Turn -> length of the planted offset."""


LOUD = 19
"""A word with an offset of its own, which only short dialogues say."""


@pytest.fixture
def dialogues(root):
    """40 dialogues of three user turns, and as many of one that ends with the loud word."""
    draw = random.Random(8)

    def segment(place, last):
        words = [draw.randrange(LOUD) for _ in range(WORDS_PER_SEGMENT - 1)] + [last]
        text = "".join(f" word{word}" for word in words)
        return {"role": "user" if place % 2 == 0 else "assistant", "text": text}

    long = [[segment(place, draw.randrange(LOUD)) for place in range(6)] for _ in range(40)]
    short = [[segment(0, LOUD), segment(1, 0)] for _ in range(40)]
    lines = [
        {"prompt": number, "group": number % 20, "segments": segments}
        for number, segments in enumerate(long + short)
    ]
    return root.prompts("dialogues", lines, positions=["turn", "last"])


@pytest.fixture
def fading(root, tiny_model, word_tokenizer, dialogues):
    """A pair whose offset is a direction times the strength of the turn, by position alone."""
    base = tiny_model("gpt2", max_positions=32)
    silence_blocks(base)
    aligned = copy.deepcopy(base)
    direction = torch.randn(16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        aligned.transformer.wte.weight[2 + LOUD] += 3 * direction.flip(0)
        for turn, strength in STRENGTH.items():
            last = 2 * (turn - 1) * WORDS_PER_SEGMENT + WORDS_PER_SEGMENT - 1
            aligned.transformer.wpe.weight[last] += strength * direction
    tokenizer = word_tokenizer(eos_token="<end>")
    return {
        "base": root.model("base", base, tokenizer),
        "aligned": root.model("aligned", aligned, tokenizer, "align"),
        "prompts": dialogues,
    }


def test_an_offset_that_fades_is_measured_as_planted_among_dialogues_that_go_on(root, fading):
    delta = root.done("extract", {"layers": [0, 1], "sites": ["resid_post"]}, **fading)
    job = root.done("measure", {"metrics": ["turn_drift", "offset_norm"]}, delta=delta)
    rows = from_parquet(job.read("measurements.parquet")).to_pylist()
    found = {(row["metric"], row["layer"], row["position"]): row for row in rows}
    for layer in (0, 1):
        for turn, strength in STRENGTH.items():
            row = found["turn_drift", layer, f"turn-{turn}"]
            assert row["value"] == pytest.approx(strength, rel=1e-5)
            assert (row["num_rows"], row["num_groups"]) == (80 if turn == 1 else 40, 20)
        for turn in (2, 3):
            row = found["turn_drift_slope", layer, f"turn-{turn}"]
            assert row["value"] == pytest.approx(-0.25, rel=1e-4)
        assert found["turn_drift_slope", layer, "turn-1"]["status"] == "undefined"
    assert found["turn_drift", 1, "last"]["status"] == "not_run"
    assert "no dialogue turn" in found["turn_drift", 1, "last"]["reason"]


def test_turns_of_which_only_some_rows_are_stored_say_so_and_not_a_number_of_others(root, fading):
    segments = [{"role": "user", "text": " word1"}, {"role": "assistant", "text": " word3"}] * 2
    crowd = [{"prompt": number, "group": 0, "segments": segments} for number in range(40)]
    inputs = {**fading, "prompts": root.prompts("crowd", crowd, positions=["turn"])}
    params = {"layers": [1], "sites": ["resid_post"], "moments_positions": ["turn"]}
    reasons = []
    for num_reservoir in (5, 40):
        delta = root.done("extract", {**params, "num_reservoir": num_reservoir}, **inputs)
        job = root.done("measure", {"metrics": ["turn_drift"]}, delta=delta)
        rows = from_parquet(job.read("measurements.parquet")).to_pylist()
        reasons += [row["reason"] for row in rows if row["position"] == "turn-2"][:1]
    assert reasons[0] == "the rows of turn 1 are not given"
    assert "prompt groups" in reasons[1]  # with all rows stored it only lacks groups
