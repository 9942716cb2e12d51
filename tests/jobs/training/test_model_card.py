"""The card beside the weights: read by the hub's own reader, the same for the same run."""

import itertools
import json

from huggingface_hub import ModelCard

from jobs.training import model_card
from jobs.worker.versions import library_versions

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 4, "learning_rate": 1e-3, "seed": 5, "checkpoint_every": 2}


def card_of(root, name):
    return ModelCard.load(root.artifact(name).path("model/README.md"))


def aligned(root, name="aligned", inputs=None, attempt="1", **params):
    answer, _ = root.run(
        "align", {**PARAMS, **params}, name=name, attempt=attempt, **(inputs or INPUTS)
    )
    assert answer["state"] == "done", answer
    return card_of(root, name)


def publish_as(root, name, source, like="model"):
    """The tiny model again, as if it came from somewhere."""
    import shutil

    folder = root.artifact(like).directory("model")
    root.publish(
        name,
        "pretrained",
        lambda target: shutil.copytree(folder, target / "model"),
        {"source": source, "revision": "e" * 40},
    )
    return {**INPUTS, "model": name}


def test_the_metadata_name_library_base_and_tags(scored):
    inputs = publish_as(scored, "from the hub", "hf://org/tiny")
    data = aligned(scored, inputs=inputs).data.to_dict()
    assert data == {
        "base_model": "org/tiny",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["deltascale", "align", "dpo"],
    }


def test_the_hub_base_is_known_after_a_second_alignment(scored):
    inputs = publish_as(scored, "from the hub", "hf://org/tiny")
    aligned(scored, "once", inputs)
    again = {"model": "once", "pairs": "pairs"}
    assert aligned(scored, "twice", again, objective="sft").data.base_model == "org/tiny"


def test_every_setting_and_what_it_was_made_from_is_written_down(scored):
    inputs = publish_as(scored, "from the hub", "hf://org/tiny")
    text = aligned(scored, inputs=inputs).text
    artifact = scored.artifact("aligned")
    for name, value in (
        *(("beta", 0.1), ("seed", 5), ("learning_rate", 0.001), ("optimizer", "rmsprop")),
        *(("adam_beta2", 0.999), ("epsilon", 1e-08), ("max_length", 32), ("steps", 4)),
        *(("num_pairs", 32), ("num_validation", 8), ("micro_batch", "null"), ("threads", 1)),
        *(("loss", artifact.facts["training"]["last"]["loss"]),),
        *library_versions().items(),
    ):
        assert f"| {name} | {value} |" in text, name
    assert artifact.facts["training"]["tokens_digest"] in text
    assert f"hf://org/tiny at {'e' * 40}" in text
    for read in ("pairs", "reference", "from the hub"):
        assert scored.artifact(read).record_digest in text


def test_a_folder_of_the_user_is_no_base_on_the_hub_and_no_path_is_shown(scored, tmp_path):
    inputs = publish_as(scored, "from a folder", str(tmp_path / "mine"))
    card = aligned(scored, inputs=inputs)
    assert card.data.base_model is None
    assert str(tmp_path) not in card.content


def test_a_run_that_was_interrupted_has_the_same_card(scored):
    whole = aligned(scored, "whole")
    asked = itertools.count(1)
    scored.run(
        "align", PARAMS, name="stopped", attempt="1", stop=lambda: next(asked) >= 3, **INPUTS
    )
    assert aligned(scored, "stopped", attempt="2").content == whole.content
    assert scored.artifact("stopped").facts["training"]["resume"]["resumed_from"] == 3


def test_a_pretrained_model_has_one_without_a_base_and_without_the_path_of_its_text(root, tmp_path):
    source = tmp_path / "text.txt"
    source.write_text("\n".join(f"a line of seven words and number {n}" for n in range(200)))
    params = {
        "config": {"family": "gpt2", "num_layers": 1, "d_model": 16, "num_heads": 2},
        "format": "text",
        "source": str(source),
        "sequence_length": 8,
        "global_batch": 4,
        "steps": 2,
        "vocab_size": 300,
    }
    root.done("pretrain", params, name="base")
    card = card_of(root, "base")
    assert card.data.tags == ["deltascale", "pretrain"] and card.data.base_model is None
    assert root.artifact("base").facts["training"]["tokens_digest"] in card.text
    assert str(tmp_path) not in card.content
    assert json.dumps(params["config"], sort_keys=True) in card.text


def test_the_card_makes_nothing_downstream_stale(scored):
    aligned(scored)
    record = scored.artifact("aligned").record
    without = {name: entry for name, entry in record.files.items() if name != model_card.CARD}
    assert len(without) == len(record.files) - 1
    assert (
        type(record)(key=record.key, kind=record.kind, attempt="1", files=without).content_digest
        == record.content_digest
    )
