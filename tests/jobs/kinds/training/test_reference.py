"""Reference log-probabilities against one-by-one arithmetic."""

import pyarrow.parquet
import pytest
import torch
from transformers import AutoModelForCausalLM


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
    scored.run("ones", "reference", {"max_length": 32, "micro_batch": 1}, inputs)
    together, alone = table_of(scored, "reference"), table_of(scored, "ones")
    for side in ("ref_chosen_logps", "ref_rejected_logps"):
        assert alone[side] == pytest.approx(together[side], abs=1e-5)


def test_a_tokenizers_bos_stands_before_the_prompt_and_is_not_scored(
    root, tiny_model, word_tokenizer
):
    from tokenizers import processors

    from jobs.models.loading import save_checkpoint

    tokenizer = word_tokenizer(eos_token="<end>", bos_token="<unk>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<unk> $A", special_tokens=[("<unk>", 0)]
    )
    root.publish(
        "with bos",
        "pretrained",
        lambda folder: save_checkpoint(tiny_model("llama"), tokenizer, folder / "model"),
    )
    inputs = {"model": "with bos", "pairs": "pairs"}
    assert root.run("scores", "reference", {"max_length": 32}, inputs)["state"] == "done"
    model = AutoModelForCausalLM.from_pretrained(root.artifact("with bos").directory("model"))
    pairs = pyarrow.parquet.read_table(root.artifact("pairs").path("pairs.parquet")).to_pylist()
    words = (pairs[0]["prompt"] + " " + pairs[0]["chosen"]).split()
    ids = torch.tensor([[0, *(int(word.removeprefix("word")) + 2 for word in words)]])
    start = 1 + len(pairs[0]["prompt"].split())
    with torch.no_grad():
        rows = model(ids).logits[0].log_softmax(-1)
    expected = sum(rows[at - 1, ids[0, at]].item() for at in range(start, ids.shape[1]))
    assert table_of(root, "scores")["ref_chosen_logps"][0] == pytest.approx(expected, abs=1e-4)
