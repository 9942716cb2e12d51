"""Which pairs count: never one that went into a model, in whatever set it is offered."""

import json

import pytest

from tests.jobs.preferring.conftest import rows_of_pairs, write_request
from tests.jobs.preferring.test_preferences import values_of

PARAMS = {"metrics": ["base_margin"], "token_budget": 500}


def facts_of(root, **inputs):
    return root.done("preferences", PARAMS, **inputs).facts


def refusal_of(root, params=PARAMS, **inputs):
    answer, _ = root.run("preferences", params, **inputs)
    assert answer["error"]["code"] == "user_mistake", answer
    return answer["error"]["message"]


def test_pairs_of_the_training_split_do_not_count(given):
    root, inputs = given
    assert facts_of(root, **inputs)["num_pairs"] == 40


def test_they_do_not_count_where_they_are_asked_for_either(given):
    root, inputs = given
    everything = {**PARAMS, "splits": ["train", "validation", "test"]}
    facts = root.done("preferences", everything, **inputs).facts
    assert (facts["num_pairs"], facts["num_seen"]) == (40, 20)
    assert "trained on" in refusal_of(root, {**PARAMS, "splits": ["train"]}, **inputs)


def test_validation_pairs_that_chose_the_weights_do_not_count(given):
    root, inputs = given
    stopped = {"objective": "dpo", "early_stopping": {"every": 1, "patience": 1}}
    write_request(inputs["aligned"], stopped, model=inputs["base"], pairs=inputs["pairs"])
    assert facts_of(root, **inputs)["num_pairs"] == 20
    message = refusal_of(root, {**PARAMS, "splits": ["validation"]}, **inputs)
    assert "early stopping" in message and "test_fraction" in message


def test_what_a_model_was_trained_on_is_found_behind_snapshots_and_earlier_models(
    given, models, tokenizer
):
    root, inputs = given
    other = root.parquet("others", "pairs", rows_of_pairs(60, first=60))
    first = root.model("first", models[1], tokenizer, "align")
    write_request(first, {"objective": "sft"}, model=inputs["base"], pairs=other)
    write_request(inputs["aligned"], {"objective": "dpo"}, model=first, pairs=inputs["pairs"])
    taken = root.model("taken", models[1], tokenizer, "export")
    write_request(taken, {}, model=inputs["aligned"])
    everything = {**PARAMS, "splits": ["train", "validation", "test"]}
    given_others = {**inputs, "aligned": taken, "pairs": other}
    facts = root.done("preferences", everything, **given_others).facts
    assert facts["num_seen"] == 20 and facts["num_pairs"] == 40


def test_a_foreign_set_loses_what_stands_in_the_training_set_too(given):
    root, inputs = given
    mixed = [{**row, "split": "train"} for row in rows_of_pairs(30)]
    # The same texts under another border between prompt and answers are no other pair.
    first, *rest = rows_of_pairs()[0]["prompt"].split()
    moved = {**mixed[0], "pair": 90, "prompt": f"{first}  ", "group": 1}
    moved["chosen"] = f"{' '.join(rest)} {mixed[0]['chosen']}"
    foreign = root.parquet("foreign", "pairs", [*mixed, moved])
    everything = {**PARAMS, "splits": ["train", "validation", "test"]}
    facts = root.done("preferences", everything, **{**inputs, "pairs": foreign}).facts
    assert facts["num_seen"] == 11 and facts["num_pairs"] == 20 and facts["is_foreign"]


def test_the_base_saved_once_more_saw_nothing_and_changes_nothing(given, models, tokenizer):
    root, inputs = given
    same = root.model("same", models[0], tokenizer, "align")
    write_request(same, {"objective": "unaligned"}, model=inputs["base"])
    params = {"new_tokens": 4, "token_budget": 500}
    rows = values_of(root.done("preferences", params, **{**inputs, "aligned": same}))
    for name in ("reward_margin", "chosen_logp_change", "rejected_logp_change", "kl_per_token"):
        assert rows[name]["value"] == 0.0 and rows[name]["status"] == "below_noise_floor"
    assert rows["preference_accuracy"]["value"] == 0.5
    assert rows["preference_accuracy"]["status"] == "below_noise_floor"


def test_a_model_whose_request_is_gone_is_known_by_what_its_record_says_it_read(
    given, models, tokenizer
):
    root, inputs = given
    from jobs.models.loading import describe_model, save_checkpoint

    pairs = inputs["pairs"]
    lost = root.publish(
        "lost",
        "align",
        lambda folder: save_checkpoint(models[1], tokenizer, folder / "model"),
        {"model": describe_model(models[1].config), "training": {"objective": "dpo"}},
        {pairs.key: pairs.record_digest},
    )
    everything = {**PARAMS, "splits": ["train", "validation", "test"]}
    facts = root.done("preferences", everything, **{**inputs, "aligned": lost}).facts
    assert facts["num_seen"] == 20


def test_pairs_without_a_held_out_part_are_refused_with_what_to_do(given):
    root, inputs = given
    rows = [{**row, "split": "train"} for row in rows_of_pairs()]
    message = refusal_of(root, **{**inputs, "pairs": root.parquet("all", "pairs", rows)})
    assert "validation_fraction" in message and "splits" in message


def test_short_equal_and_cut_answers_are_told(given):
    root, inputs = given
    rows = rows_of_pairs()
    rows[1] |= {"chosen": "", "split": "test"}  # no token to predict
    rows[2] |= {"chosen": "word1", "rejected": "word1", "split": "test"}  # no preference
    rows[4] |= {"chosen": "word1", "rejected": "word2 word3", "split": "test"}
    long = " ".join(["word5"] * 12)
    rows[5] |= {"chosen": f"word6 {long}", "rejected": f"word7 {long}", "split": "test"}
    rows[7] |= {"chosen": f"{long} word6", "rejected": f"{long} word7", "split": "test"}
    pairs = root.parquet("odd", "pairs", rows)
    write_request(inputs["aligned"], {"objective": "dpo"}, model=inputs["base"], pairs=pairs)
    params = {**PARAMS, "metrics": ["reward_margin"], "max_length": 10, "max_dropped": 0.2}
    artifact = root.done("preferences", params, **{**inputs, "pairs": pairs})
    facts, row = artifact.facts, values_of(artifact)["reward_margin"]
    assert facts["num_pairs"] == 37 and facts["num_equal"] == 1
    reasons = json.dumps(facts["dropped"])
    assert "no token to predict" in reasons and "equal once they are cut" in reasons
    assert facts["num_truncated"] >= 1 and "cut to max_length" in row["reason"]


@pytest.mark.parametrize("count", [3, 4])
def test_few_groups_give_a_number_without_an_interval(given, count):
    root, inputs = given
    rows = [{**row, "group": row["pair"] % count} for row in rows_of_pairs()]
    pairs = root.parquet("few", "pairs", rows)
    write_request(inputs["aligned"], {"objective": "dpo"}, model=inputs["base"], pairs=pairs)
    params = {"new_tokens": 2, "token_budget": 500}
    found = values_of(root.done("preferences", params, **{**inputs, "pairs": pairs}))
    for row in found.values():
        assert row["status"] == "too_few_groups" and row["low"] is None, row["metric"]
