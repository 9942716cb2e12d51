"""The sizes of a model that is not taken yet are those of its folder, where it is here."""

from jobs.forecast.upstream_models import config_of, model_of
from jobs.kind import Upstream


def taken(source, **params):
    params = {"source": str(source), **params}
    return Upstream(kind="pretrained", params=params, facts=None, files={}, inputs={})


def test_a_folder_says_its_sizes_and_the_study_comes_first(saved_models, tiny_sizes, tmp_path):
    model = taken(saved_models / "llama")
    tuned = Upstream(kind="align", params={}, facts=None, files={}, inputs={"model": model})
    assert model_of(model) == model_of(tuned) and model_of(model).family == "llama"
    assert model_of(model).shape.d_model == tiny_sizes["d_model"]
    said = {"family": "llama", "num_layers": 1, "d_model": 8, "num_heads": 1, "vocab_size": 9}
    assert config_of(taken(saved_models / "llama", config=said)) == said


def test_what_is_not_here_or_no_model_is_not_known(tmp_path):
    assert model_of(taken(tmp_path / "nowhere")) is None
    (tmp_path / "config.json").write_text("{}")
    assert model_of(taken(tmp_path)) is None
    assert model_of(taken("hf://org/model")) is None
