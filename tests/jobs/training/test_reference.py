"""Reference log-probabilities against one-by-one arithmetic."""

import pyarrow
import pyarrow.parquet
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.jobs.training.ranks import stop_at


def table_of(root, name):
    return pyarrow.parquet.read_table(root.artifact(name).path("reference.parquet")).to_pydict()


def test_every_pair_has_the_sum_over_its_completion_tokens(scored, texts):
    model = AutoModelForCausalLM.from_pretrained(scored.artifact("model").directory("model"))
    found = table_of(scored, "reference")
    assert found["pair"] == [row["pair"] for row in texts]
    for place, row in enumerate(texts):
        for side in ("chosen", "rejected"):
            words = (row["prompt"] + " " + row[side]).split()
            ids = torch.tensor([[int(word.removeprefix("word")) + 2 for word in words]])
            labels = ids.clone()
            labels[0, : len(row["prompt"].split())] = -100
            with torch.no_grad():
                mean = -model(ids, labels=labels).loss.item()
            expected = mean * len(row[side].split())
            assert found[f"ref_{side}_logps"][place] == pytest.approx(expected, abs=1e-4)


def test_the_micro_batch_changes_nothing_beyond_rounding(scored):
    inputs = {"model": "model", "pairs": "pairs"}
    scored.run("reference", {"max_length": 32, "micro_batch": 1}, name="ones", **inputs)
    together, alone = table_of(scored, "reference"), table_of(scored, "ones")
    for side in ("ref_chosen_logps", "ref_rejected_logps"):
        assert alone[side] == pytest.approx(together[side], abs=1e-5)


def test_a_tokenizers_bos_stands_before_the_prompt_and_is_not_scored(
    root, tiny_model, word_tokenizer
):
    from tokenizers import processors

    tokenizer = word_tokenizer(eos_token="<end>", bos_token="<unk>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<unk> $A", special_tokens=[("<unk>", 0)]
    )
    root.model("with bos", tiny_model("llama"), tokenizer, "pretrained")
    inputs = {"model": "with bos", "pairs": "pairs"}
    root.done("reference", {"max_length": 32}, name="scores", **inputs)
    model = AutoModelForCausalLM.from_pretrained(root.artifact("with bos").directory("model"))
    pairs = pyarrow.parquet.read_table(root.artifact("pairs").path("pairs.parquet")).to_pylist()
    words = (pairs[0]["prompt"] + " " + pairs[0]["chosen"]).split()
    ids = torch.tensor([[0, *(int(word.removeprefix("word")) + 2 for word in words)]])
    start = 1 + len(pairs[0]["prompt"].split())
    with torch.no_grad():
        rows = model(ids).logits[0].log_softmax(-1)
    expected = sum(rows[at - 1, ids[0, at]].item() for at in range(start, ids.shape[1]))
    assert table_of(root, "scores")["ref_chosen_logps"][0] == pytest.approx(expected, abs=1e-4)


def many_pairs(root, texts):
    """300 pairs: 600 sequences, three chunks."""
    rows = [
        {**row, "pair": number, "chosen": " ".join([row["chosen"]] * (1 + number % 3))}
        for number, row in enumerate(texts * 8)
    ][:300]
    root.parquet("many", "pairs", rows)
    return {"model": "model", "pairs": "many"}


def test_a_killed_one_goes_on_after_its_last_whole_chunk_and_gives_the_same_bits(root, texts):
    inputs, params = many_pairs(root, texts), {"max_length": 32}
    root.done("reference", params, name="undisturbed", **inputs)
    root.run_and_kill("reference", params, name="killed", at_step=35, **inputs)  # of 38 batches
    asked = []
    answer, _ = root.run(
        "reference",
        params,
        name="killed",
        attempt="2",
        stop=lambda: bool(asked.append(1)),
        **inputs,
    )
    assert answer["state"] == "done"
    assert root.artifact("killed").facts["chunks_taken_over"] == 2
    assert len(asked) == 6  # batches of the third chunk: 88 sequences
    assert table_of(root, "killed") == table_of(root, "undisturbed")


def stop(root, name, batch, inputs, params):
    answer, _ = root.run("reference", params, name=name, stop=stop_at(batch), **inputs)
    assert answer["state"] == "stopped"


def test_half_a_chunk_is_computed_again(root, texts):
    inputs, params = many_pairs(root, texts), {"max_length": 32}
    stop(root, "killed", 35, inputs, params)
    folder = root.folder / root.artifact("killed").attempt_folder("1") / "checkpoints"
    first, _ = sorted(folder.rglob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:-8])
    root.done("reference", params, name="killed", attempt="2", **inputs)
    assert root.artifact("killed").facts["chunks_taken_over"] == 1
    root.done("reference", params, name="undisturbed", **inputs)
    assert table_of(root, "killed") == table_of(root, "undisturbed")


def test_one_that_is_asked_to_stop_keeps_its_chunks(root, texts):
    inputs, params = many_pairs(root, texts), {"max_length": 32}
    stop(root, "stopped", 21, inputs, params)
    root.done("reference", params, name="stopped", attempt="2", **inputs)
    assert root.artifact("stopped").facts["chunks_taken_over"] == 1


def test_the_record_says_how_it_was_computed(scored):
    facts = scored.artifact("reference").facts
    assert (facts["dtype"], facts["attention"]) == ("float32", "sdpa")
    assert facts["weights"] == scored.artifact("model").key


@pytest.mark.parametrize(
    "differs, said", [({"dtype": "bfloat16"}, "dtype"), ({"attention": "eager"}, "attention")]
)
def test_training_refuses_a_reference_that_was_computed_otherwise(scored, differs, said):
    inputs = {"model": "model", "pairs": "pairs", "reference": "reference"}
    params = {"max_length": 32, "steps": 1, **differs}
    answer, _ = scored.run("align", params, name="aligned", **inputs)
    assert answer["error"]["code"] == "user_mistake"
    assert f"the reference was computed with {said}" in answer["error"]["message"]


def test_a_model_in_several_places_gives_the_scores_of_one(scored):
    """The second device is the disk, from which blocks come when it is their turn."""
    from jobs.models.device import spread
    from jobs.models.loading import load_model, load_tokenizer
    from jobs.training.completion_log_probabilities import score_pairs
    from tests.jobs.training.read_pairs import read_pairs

    folder = scored.artifact("model").directory("model")
    path = scored.artifact("pairs").path("pairs.parquet")
    pairs = read_pairs(path, load_tokenizer(folder), 32)
    split = load_model(folder, device=spread(folder, ["cpu", "disk"]))
    found = score_pairs(split, pairs, batch_size=16, dtype="float32")
    expected = table_of(scored, "reference")
    assert found.chosen == pytest.approx(expected["ref_chosen_logps"], abs=1e-5)
    assert found.rejected == pytest.approx(expected["ref_rejected_logps"], abs=1e-5)


def with_template(root, tiny_model, word_tokenizer):
    """`chat`: the tiny model with a template of words that its tokenizer knows."""

    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.chat_template = (
        "{% for message in messages %}{{ 'word18 ' + message['content'] + ' <end> ' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'word18 ' }}{% endif %}"
    )
    root.model("chat", tiny_model("gpt2"), tokenizer, "pretrained")


def turned(root, texts):
    """`pairs in turns`: those pairs, as kind `pairs` writes them: nobody says who speaks."""
    rows = [{**row, "turns": []} for row in texts]
    table = pyarrow.Table.from_pylist(rows)
    root.parquet("pairs in turns", "pairs", table)


def test_in_a_chat_template_both_see_the_same_tokens_and_say_which(
    root, texts, tiny_model, word_tokenizer
):
    with_template(root, tiny_model, word_tokenizer)
    turned(root, texts)
    inputs = {"model": "chat", "pairs": "pairs in turns"}
    asked = {"max_length": 40, "template": "chat"}
    root.done("reference", asked, name="scores", **inputs)
    facts = root.artifact("scores").facts
    model = AutoModelForCausalLM.from_pretrained(root.artifact("chat").directory("model"))
    row = texts[0]
    words = f"word18 {row['prompt']} <end> word18 {row['chosen']} <end>"
    tokenizer = AutoTokenizer.from_pretrained(root.artifact("chat").directory("model"))
    ids = torch.tensor([tokenizer(words)["input_ids"]])
    with torch.no_grad():
        found = model(ids).logits[0].log_softmax(-1)
    start = ids.shape[1] - len(row["chosen"].split()) - 1
    expected = sum(found[at - 1, ids[0, at]].item() for at in range(start, ids.shape[1]))
    scored = table_of(root, "scores")["ref_chosen_logps"][0]
    assert scored == pytest.approx(expected, abs=1e-4)

    training = {"objective": "dpo", "steps": 2, "global_batch": 4, **asked}
    trained = {**inputs, "reference": "scores"}
    root.done("align", training, name="aligned", **trained)
    told = root.artifact("aligned").facts["training"]
    assert told["tokens_digest"] == facts["tokens_digest"]
    assert told["template"] == facts["template_digest"] is not None

    answer, _ = root.run("align", {**training, "template": "none"}, name="plain", **trained)
    assert "template 'chat', this job has 'none'" in answer["error"]["message"]


def test_a_tokenizer_without_a_chat_template_is_refused_by_the_name_of_its_model(root):
    inputs = {"model": "model", "pairs": "pairs"}
    for kind, more in (("reference", {}), ("align", {"objective": "sft", "steps": 1})):
        answer, _ = root.run(kind, {"template": "chat", **more}, name=kind, **inputs)
        assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake"
        assert "has no chat template" in answer["error"]["message"]
        assert root.artifact("model").folder in answer["error"]["message"]
