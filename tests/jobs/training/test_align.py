"""Alignment against independent arithmetic on the same rows."""

import json

import numpy as np
import pyarrow.parquet
import pytest
import torch
from transformers import AutoModelForCausalLM

from cluster.errors import UserError
from jobs.kinds.align import Align
from jobs.training.recipe import data_order

align = Align()

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 2, "learning_rate": 1e-3, "seed": 5}


def run(root, name="aligned", inputs=None, **params):
    return root.run("align", {**PARAMS, **params}, name=name, **(inputs or INPUTS))[0]


def done(root, name="aligned", inputs=None, **params):
    answer = run(root, name, inputs, **params)
    assert answer["state"] == "done", answer
    return root.log_of(name)


def refused(root, **params):
    answer = run(root, **params)
    assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake", answer
    return answer["error"]["message"]


@pytest.fixture
def base(root):
    return AutoModelForCausalLM.from_pretrained(root.artifact("model").directory("model"))


def first_batch(texts, num_rows=4, seed=5):
    rows = [row for row in texts if row["split"] == "train"]
    return [rows[place] for place in data_order(len(rows), num_rows, seed)]


def sum_of(model, prompt, completion):
    """Sum of log p over the completion's words, one sequence at a time, nothing padded."""
    words = (prompt + " " + completion).split()
    ids = torch.tensor([[int(word.removeprefix("word")) + 2 for word in words]])
    with torch.no_grad():
        rows = model(ids).logits[0].double().log_softmax(-1)
    start = len(prompt.split())
    return sum(rows[at - 1, ids[0, at]].item() for at in range(start, len(words)))


def loss_of(gain, beta=0.1):
    return float(np.log1p(np.exp(-beta * gain)))


def replace_reference(root, chosen, rejected):
    """Another `reference` with planted columns."""
    true = root.artifact("reference")
    table = pyarrow.parquet.read_table(true.path("reference.parquet")).to_pydict()
    planted = {
        "pair": table["pair"],
        "ref_chosen_logps": [value + chosen for value in table["ref_chosen_logps"]],
        "ref_rejected_logps": [value + rejected for value in table["ref_rejected_logps"]],
    }
    root.parquet("planted", "reference", pyarrow.table(planted), dict(true.facts))
    return {**INPUTS, "reference": "planted"}


def test_the_first_step_sees_our_tokens_in_our_order_and_no_others(scored, base, texts):
    first = done(scored)[0]
    batch = first_batch(texts)
    for side in ("chosen", "rejected"):
        expected = np.mean([sum_of(base, row["prompt"], row[side]) for row in batch])
        assert first[f"logps/{side}"] == pytest.approx(expected, abs=1e-4)


def test_a_model_against_itself_has_loss_ln_2_and_then_learns_the_preference(scored):
    log = done(scored, steps=40)
    assert log[0]["loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert log[-1]["validation/margin"] > 0.5
    assert log[-1]["validation/accuracy"] == 1
    assert log[-1]["validation/loss"] < 0.5
    assert scored.artifact("aligned").facts["training"]["last"] == log[-1]


def test_planted_reference_log_probabilities_move_the_loss_by_what_they_are(scored):
    inputs = replace_reference(scored, chosen=-7.0, rejected=3.0)
    log = done(scored, inputs=inputs, steps=1)
    assert log[0]["loss"] == pytest.approx(loss_of(gain=10.0), abs=1e-5)
    assert log[0]["rewards/chosen"] == pytest.approx(0.7, abs=1e-5)
    assert log[0]["rewards/rejected"] == pytest.approx(-0.3, abs=1e-5)


def test_beta_scales_the_margin(scored):
    inputs = replace_reference(scored, chosen=-7.0, rejected=3.0)
    log = done(scored, inputs=inputs, steps=1, beta=0.5)
    assert log[0]["loss"] == pytest.approx(loss_of(gain=10.0, beta=0.5), abs=1e-5)


def test_shuffled_labels_swap_half_of_the_training_pairs_and_no_validation_pair(scored):
    plain = replace_reference(scored, chosen=-7.0, rejected=3.0)
    log = done(scored, inputs=plain, objective="dpo-shuffled", steps=8, learning_rate=1e-12)
    # 32 training pairs in 8 batches of 4: every pair once, half with its sides swapped
    assert np.mean([row["rewards/margins"] for row in log]) == pytest.approx(0, abs=1e-4)
    assert log[-1]["validation/margin"] == pytest.approx(1.0, abs=1e-4)


def test_sft_is_the_cross_entropy_of_the_chosen_completion_and_ignores_the_reference(
    scored, base, texts
):
    batch = first_batch(texts)
    total = -sum(sum_of(base, row["prompt"], row["chosen"]) for row in batch)
    num_tokens = sum(len(row["chosen"].split()) for row in batch)
    log = done(scored, "with", objective="sft", steps=20)
    assert log[0]["loss"] == pytest.approx(total / num_tokens, abs=1e-5)
    assert log[-1]["validation/loss"] < log[0]["loss"]
    without = {"model": "model", "pairs": "pairs"}
    assert done(scored, "without", without, objective="sft", steps=20) == log


def test_accumulating_micro_batches_gives_the_same_step(scored):
    for objective in ("dpo", "sft"):
        whole = done(scored, f"{objective} whole", objective=objective, steps=5)
        parts = done(scored, f"{objective} parts", objective=objective, steps=5, micro_batch=1)
        for one, other in zip(whole, parts, strict=True):
            assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
            assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-3)


def test_the_seed_decides_the_order_and_nothing_else_is_random(scored):
    logs = [done(scored, name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert logs[0] == logs[1] != logs[2]
    assert scored.artifact("a").read("model/model.safetensors") == scored.artifact("b").read(
        "model/model.safetensors"
    )


def test_epochs_count_passes_over_the_training_pairs(scored):
    done(scored, steps=None, epochs=0.5)
    facts = scored.artifact("aligned").facts["training"]
    assert (facts["num_pairs"], facts["num_validation"], facts["steps"]) == (32, 8, 4)


def test_the_aligned_folder_differs_from_the_base_in_weights_alone(scored):
    done(scored)
    base, aligned = scored.artifact("model"), scored.artifact("aligned")
    names = base.names("model/")
    assert set(aligned.names("model/")) == {*names, "model/README.md"}
    changed = {name for name in names if base.read(name) != aligned.read(name)}
    assert changed - {"model/tokenizer_config.json"} == {"model/model.safetensors"}
    assert aligned.facts["model"]["num_parameters"] > 1000


def test_the_log_keeps_the_rows_asked_for_and_holds_no_times(scored):
    log = done(scored, steps=7, log_every=3)
    assert [row["step"] for row in log] == [1, 3, 6, 7]
    assert not [name for row in log for name in row if "time" in name or "second" in name]


def test_training_that_diverges_names_the_step(scored):
    inputs = replace_reference(scored, chosen=float("inf"), rejected=0.0)
    message = refused(scored, inputs=inputs)
    assert "loss is inf at step 1" in message and "learning_rate" in message


def test_training_in_which_nothing_can_be_learned_is_ended(root, texts):
    same = [{**row, "rejected": row["chosen"]} for row in texts]
    root.parquet("same", "pairs", same)
    inputs = {"model": "model", "pairs": "same"}
    root.run("reference", {"max_length": 32}, name="reference", **inputs)
    inputs["reference"] = "reference"
    message = refused(root, inputs=inputs, steps=30)
    assert "nothing is being learned" in message and "step 10" in message


def test_dpo_without_a_reference_is_refused(root):
    message = refused(root, inputs={"model": "model", "pairs": "pairs"})
    assert "objective 'dpo' needs the input `reference`" in message


def test_a_reference_over_other_tokens_is_refused(scored):
    message = refused(scored, max_length=5)
    assert "other tokens" in message and "here 5, there 32" in message


def test_more_tokens_than_the_model_has_positions_are_refused(scored):
    assert "2000 is more than the 1024 positions" in refused(scored, max_length=2000)


def test_params_that_cannot_be_are_refused_when_the_study_is_planned():
    with pytest.raises(UserError, match="unknown objective 'dbo'") as caught:
        align.Params(objective="dbo")
    assert "did you mean 'dpo'?" in str(caught.value)
    with pytest.raises(UserError, match="not both"):
        align.Params(steps=1, epochs=1)
    with pytest.raises(UserError, match="does not divide") as caught:
        align.Params(global_batch=6, micro_batch=4)
    assert caught.value.allowed == ["1", "2", "3", "6"]


def test_only_objectives_that_use_the_reference_have_it_in_their_key():
    used = {name: align.uses(align.Params(objective=name)) for name in ("dpo", "sft")}
    assert used["dpo"] == {"model", "pairs", "reference"}
    assert used["sft"] == {"model", "pairs"}


def test_planning_imports_no_heavy_library():
    import subprocess
    import sys

    code = (
        "import sys, json; from jobs.kind import KINDS; KINDS.find('reference');"
        "KINDS.find('pretrain'); align = KINDS.find('align');"
        "align.uses(align.Params()); print(json.dumps(sorted(sys.modules)))"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    heavy = {"torch", "transformers", "trl", "datasets", "pandas", "wandb", "ray"}
    assert not heavy & set(json.loads(listed.stdout))
