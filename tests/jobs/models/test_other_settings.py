"""What two configs let their models compute otherwise, and what makes no difference."""

import json

import numpy as np
import pytest

from jobs.models.other_settings import computed_otherwise
from jobs.tokens.planned_tokenizer import planned_tokenizer
from jobs.tokens.planned_tokens import check_prompts_of_pair, notes_on_settings
from tests.jobs.tokens.test_planned_tokenizer import prompts, taken

LLAMA = {"model_type": "llama", "hidden_size": 16, "num_attention_heads": 2}
LLAMA_3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_type": "llama3"}
LLAMA_3 |= {"original_max_position_embeddings": 8192}
OLDER = {
    **LLAMA,
    "rope_theta": 500_000.0,
    "rope_scaling": LLAMA_3,
    "transformers_version": "4.51.0",
}
NEWER = {**LLAMA, "rope_parameters": {"rope_theta": 500_000.0, **LLAMA_3}, "dtype": "bfloat16"}
GEMMA = {"model_type": "gemma2", "hidden_size": 16, "num_attention_heads": 2, "head_dim": 8}


@pytest.mark.parametrize(
    ("base", "aligned"),
    [
        (OLDER, OLDER),
        (OLDER, NEWER),
        (OLDER, {**OLDER, "vocab_size": 32064, "pad_token_id": 0, "use_cache": False}),
        (LLAMA, {**LLAMA, "rope_theta": 10_000, "rms_norm_eps": 9.999999974752427e-07}),
        (GEMMA, {**GEMMA, "attention_dropout": 0.1, "max_position_embeddings": 4096}),
        (OLDER, {**OLDER, "num_attention_heads": "many"}),
        ({"model_type": "of-somebodys-own"}, {"model_type": "of-somebodys-own", "rope_theta": 7}),
    ],
)
def test_what_makes_no_difference_is_not_told(base, aligned):
    assert computed_otherwise(base, aligned) is None
    assert computed_otherwise(aligned, base) is None


def lost(config):
    """As transformers 4 writes what 5 has written: the rotation is not read."""
    return {name: value for name, value in config.items() if name != "rope_parameters"}


@pytest.mark.parametrize(
    ("base", "aligned", "told"),
    [
        (NEWER, lost(NEWER), "rope_theta 500000.0 and 10000.0"),
        (NEWER, lost(NEWER), "rope_type llama3 and default"),
        (LLAMA, {**LLAMA, "rms_norm_eps": 1e-5}, "rms_norm_eps 1e-06 and 1e-05"),
        (GEMMA, {**GEMMA, "final_logit_softcapping": None}, "softcapping 30.0 and none"),
        (
            {"model_type": "mistral", "sliding_window": 4096, "rope_theta": 10000.0},
            {"model_type": "mistral", "sliding_window": None, "rope_theta": 1000000.0},
            "rope_theta 10000.0 and 1000000.0, sliding_window 4096 and none",
        ),
        (
            {"model_type": "gpt2"},
            {"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True},
            "scale_attn_by_inverse_layer_idx False and True",
        ),
        (
            {"model_type": "gemma3_text", "rope_local_base_freq": 10000.0},
            {"model_type": "gemma3_text", "rope_local_base_freq": 5000.0},
            "sliding_attention rope_theta 10000.0 and 5000.0",
        ),
    ],
)
def test_what_changes_every_activation_is_told(base, aligned, told):
    assert told in computed_otherwise(base, aligned)


def test_a_plan_says_in_what_two_models_compute_otherwise(saved_models, tmp_path):
    base, aligned = saved_models / "llama", tmp_path / "aligned"
    aligned.mkdir()
    for file in base.iterdir():
        (aligned / file.name).write_bytes(file.read_bytes())
    texts = prompts(("word1", " word2"))
    assert check_prompts_of_pair(texts, taken(base), taken(aligned)) == ()
    config = json.loads((aligned / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 500.0
    (aligned / "config.json").write_text(json.dumps(config))
    (note,) = check_prompts_of_pair(texts, taken(base), taken(aligned))
    assert "compute otherwise whatever their weights: rope_theta 10000.0 and 500.0;" in note
    pair = planned_tokenizer(taken(base)), planned_tokenizer(taken(aligned))
    assert notes_on_settings(*pair) == (note,)
    assert notes_on_settings(pair[0], None) == notes_on_settings(None, pair[1]) == ()


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("extract", {"layers": [1]}),
        ("predictions", {"toxic_words": "prompts", "num_positions": 1}),
        ("intervene", {"intervention": "scale-keys", "num_vectors": 1, "metrics": ["toxic_mass"]}),
    ],
)
def test_jobs_that_compare_two_models_keep_in_what_they_compute_otherwise(
    root, pair, plain_prompts, word_tokenizer, kind, params
):
    def write(folder):
        text = "".join(json.dumps(each) + "\n" for each in plain_prompts)
        (folder / "prompts.jsonl").write_text(text)
        words = {"words": ["word3"], "origin": "known"}
        (folder / "toxic.json").write_text(json.dumps(words))

    inputs, _, aligned = pair
    inputs["prompts"] = root.publish("toxic", "prompts", write, {"transform": "plain"})
    if kind == "intervene":
        inputs["lexicon"] = inputs["prompts"]
        inputs["toxic"] = root.toxic_directions(inputs["base"], [(1, 5)], np.eye(16)[0])
    assert "computed_otherwise" not in root.done(kind, params, **inputs).facts
    aligned.config.layer_norm_epsilon = 0.01
    tokenizer = word_tokenizer(eos_token="<end>")
    inputs["aligned"] = root.model("otherwise", aligned, tokenizer, "align")
    done = root.done(kind, params, **inputs)
    assert done.facts["computed_otherwise"] == "layer_norm_epsilon 1e-05 and 0.01"
