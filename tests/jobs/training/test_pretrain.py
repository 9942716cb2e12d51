"""Pretraining of a tiny model on the embedded language."""

import pytest

from cluster.errors import UserError
from jobs.kinds.pretrain import Pretrain
from jobs.models.family import names
from jobs.models.loading import load_model, load_tokenizer
from jobs.text import corpus
from jobs.training import pretraining
from tests.jobs.training.ranks import tiny_pretraining

pretrain = Pretrain()

PARAMS = {
    **tiny_pretraining(num_documents=150, global_batch=8),
    "steps": 60,
    "learning_rate": 0.02,
}


def refused(root, **params):
    answer, _ = root.run("pretrain", {**PARAMS, **params}, name="refused")
    assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake", answer
    return answer["error"]["message"]


def test_the_loss_falls_and_the_model_loads_with_its_tokenizer(root):
    root.done("pretrain", PARAMS, name="base")
    log = root.log_of("base")
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    folder = root.artifact("base").directory("model")
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    facts = root.artifact("base").facts["model"]
    assert facts["num_parameters"] == model.num_parameters()
    assert facts["vocab_size"] == len(tokenizer) == model.config.vocab_size
    assert model.config.eos_token_id == tokenizer.eos_token_id


def test_every_seed_starts_elsewhere_and_gives_the_same_bytes_twice(root):
    found = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        root.run("pretrain", {**PARAMS, "seed": seed, "steps": 2}, name=name)
        found[name] = root.artifact(name).read("model/model.safetensors")
    assert found["a"] == found["b"] != found["c"]


def test_generated_documents_are_made_once_for_a_ladder_and_anew_for_other_rows(root, monkeypatch):
    monkeypatch.setattr(pretraining, "_latest", {})
    asked = []
    read = corpus.read_documents
    monkeypatch.setattr(
        corpus, "read_documents", lambda *about: asked.append(about) or read(*about)
    )
    config = {**PARAMS["config"], "d_model": 16}
    digests = []
    for number, changed in enumerate(({}, {"config": config}, {"seed": 1}, {})):
        root.done("pretrain", {**PARAMS, "steps": 1, **changed}, name=str(number))
        digests.append(root.artifact(str(number)).facts["training"]["tokens_digest"])
    assert len(asked) == 3
    assert digests[0] == digests[1] == digests[3] != digests[2]


@pytest.mark.parametrize("family", [name for name in names() if name != "gpt2"])
def test_every_other_family_trains_too(root, family):
    """Whichever attention kernel it can use."""
    config = {**PARAMS["config"], "family": family}
    root.done("pretrain", {**PARAMS, "config": config, "steps": 2}, name="base")
    assert root.artifact("base").facts["model"]["family"] == family


def test_key_and_value_heads_may_be_shared(root):
    config = {**PARAMS["config"], "family": "llama", "num_key_value_heads": 1}
    root.done("pretrain", {**PARAMS, "config": config, "steps": 2}, name="base")
    assert root.artifact("base").facts["model"]["config"]["num_key_value_heads"] == 1


def test_a_vocabulary_smaller_than_the_tokenizer_is_refused(root):
    config = {**PARAMS["config"], "vocab_size": 20}
    assert "vocab_size 20 of the config is less than" in refused(root, config=config)


def test_too_few_documents_for_one_row_are_refused(root):
    message = refused(root, options={"num_documents": 1}, sequence_length=1000)
    assert "fewer than one sequence of 1000" in message


def test_a_sequence_longer_than_the_positions_is_refused_when_planned():
    config = {**PARAMS["config"], "max_positions": 8}
    with pytest.raises(UserError, match="16 is more than max_positions 8"):
        pretrain.Params(**{**PARAMS, "config": config})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"num_heads": 3}, "not a multiple of 3 heads"),
        ({"num_layers": 2.5}, "num_layers is 2.5"),
        ({"layers": 2}, "unknown config field 'layers'"),
    ],
)
def test_a_wrong_config_without_a_vocabulary_is_refused_when_planned(changed, told):
    config = {**PARAMS["config"], **changed}
    assert "vocab_size" not in config
    with pytest.raises(UserError, match=told):
        pretrain.Params(**{**PARAMS, "config": config})


def test_positions_that_a_family_assumes_bound_the_sequence_when_planned():
    config = {name: n for name, n in PARAMS["config"].items() if name != "max_positions"}
    with pytest.raises(UserError, match="1100 is more than max_positions 1024"):
        pretrain.Params(**{**PARAMS, "config": config, "sequence_length": 1100})


def test_an_unknown_family_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'gpt2'"):
        pretrain.Params(**{**PARAMS, "config": {**PARAMS["config"], "family": "gtp2"}})


def test_an_unknown_format_and_an_unknown_option_are_refused_when_planned():
    with pytest.raises(UserError, match="did you mean 'nursery'"):
        pretrain.Params(**{**PARAMS, "format": "nursry"})
    with pytest.raises(UserError, match="did you mean 'num_documents'"):
        pretrain.Params(**{**PARAMS, "options": {"num_document": 3}})
