"""The same pairs by other ways: TRL's own margin, other batches, adapters, 16 bits, sub-words."""

import copy

import numpy as np
import pyarrow.parquet
import pytest
import torch

from jobs.models.loading import load_model
from tests.jobs.byte_level import byte_level_bpe
from tests.jobs.preferring.conftest import rows_of_pairs, write_request
from tests.jobs.preferring.test_preferences import values_of

PARAMS = {"new_tokens": 4, "token_budget": 500}


def test_other_batches_change_nothing_beyond_the_floor(given):
    root, inputs = given
    one, other = (
        values_of(root.done("preferences", {**PARAMS, "token_budget": budget}, **inputs))
        for budget in (20, 900)
    )
    for name, row in one.items():
        assert row["num_rows"] == other[name]["num_rows"]
        for end in ("value", "low", "high"):
            assert row[end] == pytest.approx(other[name][end], abs=2e-5), name


def test_the_sums_are_those_that_align_reads_as_its_reference(given):
    root, inputs = given
    scored = root.done("reference", {}, model=inputs["base"], pairs=inputs["pairs"])
    columns = pyarrow.parquet.read_table(scored.path("reference.parquet")).to_pydict()
    margins = np.subtract(columns["ref_chosen_logps"], columns["ref_rejected_logps"])
    held_out = [row["split"] != "train" for row in rows_of_pairs()]
    params = {**PARAMS, "metrics": ["base_margin"]}
    row = values_of(root.done("preferences", params, **inputs))["base_margin"]
    assert row["value"] == pytest.approx(margins[held_out].mean(), abs=1e-5)


@pytest.mark.slow
def test_the_margin_is_trls_own_on_the_same_pairs(given, models, tokenizer, tmp_path):
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    root, inputs = given
    params = {**PARAMS, "metrics": ["reward_margin", "preference_accuracy"], "end_of_text": True}
    rows = values_of(root.done("preferences", params, **inputs))
    held_out = [row for row in rows_of_pairs() if row["split"] != "train"]
    columns = {name: [row[name] for row in held_out] for name in ("prompt", "chosen", "rejected")}
    base, aligned = models
    tokenizer.pad_token = "<end>"
    trainer = DPOTrainer(
        model=aligned,
        ref_model=base,
        args=DPOConfig(
            output_dir=str(tmp_path / "trl"),
            beta=0.1,
            per_device_eval_batch_size=40,
            report_to=[],
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=Dataset.from_dict(columns),
        eval_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    found = trainer.evaluate()
    assert 0.1 * rows["reward_margin"]["value"] == pytest.approx(
        found["eval_rewards/margins"], rel=1e-4
    )
    assert rows["preference_accuracy"]["value"] == pytest.approx(found["eval_rewards/accuracies"])


@pytest.mark.slow
def test_an_adapter_reads_as_the_model_it_makes(given, models, tokenizer, tmp_path):
    from peft import LoraConfig, get_peft_model

    root, inputs = given
    with torch.random.fork_rng():
        torch.manual_seed(7)
        settings = LoraConfig(r=2, target_modules=["c_fc"], init_lora_weights=False)
        adapted = get_peft_model(copy.deepcopy(models[0]), settings)
    adapted.save_pretrained(tmp_path / "adapter")
    adapter = root.done("adapter", {"source": str(tmp_path / "adapter")}, base=inputs["base"])
    resident = root.done("preferences", PARAMS, **{**inputs, "aligned": adapter})
    merged = root.model("merged", load_model(adapter.directory("model")), tokenizer, "align")
    apart = root.done("preferences", PARAMS, **{**inputs, "aligned": merged})
    ours, theirs = values_of(resident), values_of(apart)
    assert ours["kl_per_token"]["value"] > 1e-4
    for name, row in ours.items():
        assert row["value"] == pytest.approx(theirs[name]["value"], abs=2e-4), name
    assert "is not known here" in ours["reward_margin"]["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bits_have_a_floor_and_one_model_against_itself_is_within_it(given, dtype):
    root, inputs = given
    params = {**PARAMS, "dtype": dtype, "metrics": ["reward_margin", "kl_per_token"]}
    rows = values_of(root.done("preferences", params, **inputs))
    assert rows["reward_margin"]["status"] == "ok"
    same = root.done("preferences", params, **{**inputs, "aligned": inputs["base"]})
    for name in ("reward_margin", "kl_per_token"):
        assert values_of(same)[name]["status"] == "below_noise_floor"


def test_sub_word_tokens_join_prompt_and_answer_as_training_does(given, tiny_model, moved):
    from transformers import PreTrainedTokenizerFast

    root, inputs = given
    text = " ".join(row["prompt"] + row["chosen"] for row in rows_of_pairs())
    inner = byte_level_bpe(text, 300, ["<end>"])
    words = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    base = tiny_model("gpt2", vocab_size=len(words), max_positions=128).eval()
    of_base = root.model("sub-words", base, words)
    aligned = root.model("sub-words aligned", moved(base), words, "align")
    write_request(aligned, {"objective": "dpo"}, model=of_base, pairs=inputs["pairs"])
    given_ones = {"base": of_base, "aligned": aligned, "pairs": inputs["pairs"]}
    rows = values_of(root.done("preferences", {**PARAMS, "token_budget": 4000}, **given_ones))
    sums = {}
    for name, model in (("base", of_base), ("aligned", aligned)):
        scored = root.done("reference", {}, model=model, pairs=inputs["pairs"])
        columns = pyarrow.parquet.read_table(scored.path("reference.parquet")).to_pydict()
        sums[name] = np.subtract(columns["ref_chosen_logps"], columns["ref_rejected_logps"])
    held_out = [row["split"] != "train" for row in rows_of_pairs()]
    margin = (sums["aligned"] - sums["base"])[held_out].mean()
    assert rows["reward_margin"]["value"] == pytest.approx(margin, abs=1e-4)
