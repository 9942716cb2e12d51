"""A tiny random classifier in a folder, as the scorer of a nursery model's continuations."""

import json

import numpy as np
import pytest

from cluster.errors import UserError
from jobs.behaviour.scorer import chosen_scorer
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study

LABELS = ("fine", "toxic", "other")
TEXTS = ["word1 word2", "word3", "word4 word5 word6 word7 word8", ""]


class Job:
    """What a scorer sees of the job it works for."""

    class params:  # noqa: N801
        num_gpus = 0

    threads = 1

    def __init__(self, folder, pins):
        self.folder, self.pins = folder, pins

    def progress(self, fraction, doing):
        pass


@pytest.fixture(scope="module")
def saved(tmp_path_factory, word_tokenizer):
    """A function: name, type of problem -> the folder of a classifier."""

    def save(name, problem_type="single_label_classification"):
        import torch
        from transformers import GPT2Config, GPT2ForSequenceClassification

        folder = tmp_path_factory.mktemp("classifiers") / name
        sizes = {"n_layer": 1, "n_embd": 8, "n_head": 2, "n_positions": 16, "vocab_size": 22}
        config = GPT2Config(
            **sizes,
            pad_token_id=1,
            id2label=dict(enumerate(LABELS)),
            problem_type=problem_type,
        )
        torch.manual_seed(0)
        model = GPT2ForSequenceClassification(config)
        model.score.weight.data.mul_(100)  # so that labels differ by more than rounding
        model.save_pretrained(folder)
        word_tokenizer(pad_token="<end>", eos_token="<end>").save_pretrained(folder)
        return folder

    return save


def judge_of(folder, tmp_path, **settings):
    scorer = chosen_scorer({"name": "hf-classifier", "model": str(folder), **settings})
    (tmp_path / "attempt").mkdir(exist_ok=True)
    return scorer.open(Job(tmp_path / "attempt", scorer.source.pins({})), [])


def logits(folder, text):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    token_ids = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    with torch.no_grad():
        return model(torch.tensor([token_ids])).logits[0].double()


def test_a_score_is_the_probability_of_the_label_whatever_it_is_batched_with(saved, tmp_path):
    folder = saved("one")
    found = judge_of(folder, tmp_path, label="other").scores(TEXTS[:3])
    alone = [float(logits(folder, text).softmax(-1)[2]) for text in TEXTS[:3]]
    assert found == pytest.approx(alone, abs=1e-5)
    assert max(alone) - min(alone) > 0.01


def test_labels_that_do_not_exclude_each_other_are_judged_each_by_itself(saved, tmp_path):
    folder = saved("many", "multi_label_classification")
    found = judge_of(folder, tmp_path).scores(TEXTS[:2])
    assert found == pytest.approx(
        [float(logits(folder, text).sigmoid()[1]) for text in TEXTS[:2]], abs=1e-5
    )


def test_the_verdict_names_the_classifier_and_no_path(saved, tmp_path):
    folder = saved("named")
    judge = judge_of(folder, tmp_path, threshold=0.25)
    assert "named" in judge.verdict and "0.25 or more as 'toxic'" in judge.verdict
    assert str(folder.parent) not in judge.verdict


def test_a_wrong_label_is_answered_with_those_that_exist(saved, tmp_path):
    with pytest.raises(UserError) as caught:
        judge_of(saved("labels"), tmp_path, label="toxik")
    assert caught.value.allowed == sorted(LABELS)
    assert "'toxic'" in caught.value.hint


def changed(folder, change):
    """Write the weights of a classifier again, as `change` makes them of a mapping."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (
            lambda w: {name: t for name, t in w.items() if not name.startswith("score")},
            "no head that classifies: found transformer.h.0.attn.c_attn.bias",
        ),
        (
            lambda w: {f"base_model.model.{name}": tensor for name, tensor in w.items()},
            "adapter or a wrapper in it: base_model.model.score.weight",
        ),
        (
            lambda w: {name.replace("c_fc.", "c_fc.base_layer."): t for name, t in w.items()},
            "adapter or a wrapper in it: transformer.h.0.mlp.c_fc.base_layer.bias",
        ),
    ],
)
def test_a_classifier_without_its_own_head_is_refused_when_it_is_planned(saved, change, error):
    folder = changed(saved(f"planned{len(error)}"), change)
    with pytest.raises(UserError, match=error) as caught:
        rates_job(f"{{name: hf-classifier, model: {folder}}}", folder.parent)
    assert "save_pretrained" in caught.value.hint or "classifier itself" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda w: {k: t for k, t in w.items() if "ln_1" not in k}, "2 weights .* are missing"),
        (
            lambda w: {k: t[:2].clone() if k == "score.weight" else t for k, t in w.items()},
            "1 weights .* of another shape than config.json says: score.weight",
        ),
        (
            lambda w: {k: t * float("nan") if "score" in k else t for k, t in w.items()},
            "1 weights .* hold NaN or infinity: score.weight",
        ),
    ],
)
def test_a_classifier_that_would_be_drawn_at_random_judges_nothing(saved, tmp_path, change, error):
    folder = changed(saved(f"loaded{len(error)}"), change)
    with pytest.raises(UserError, match=error):
        judge_of(folder, tmp_path).scores(TEXTS)


@pytest.mark.parametrize(
    ("written", "error", "hint"),
    [
        ("lexicn", "unknown scorer 'lexicn'", "'lexicon'"),
        ({"model": "m"}, "a scorer needs a name", None),
        ({"name": "hf-classifier", "modle": "m"}, "unknown setting 'modle'", "'model'"),
        ({"name": "hf-classifier"}, "model: is required", None),
        ({"name": "hf-classifier", "model": "m", "threshold": 2}, "threshold: ", None),
        ({"name": "lexicon", "label": "x"}, "unknown setting 'label'", None),
    ],
)
def test_a_wrong_choice_says_what_is_allowed(written, error, hint):
    with pytest.raises(UserError) as caught:
        chosen_scorer(written)
    assert error in caught.value.error
    assert hint is None or hint in caught.value.hint


STUDY = """study: s
stages:
  texts: {kind: prompts, params: {format: nursery, positions: [last]}}
  base: {kind: pretrain, params: {format: nursery, steps: 1, config: %s}}
  rates: {kind: behave, inputs: {model: base, prompts: texts}, params: {toxic_words: prompts,
    metrics: [toxic_rate], scorer: %s}}
"""


def rates_job(scorer, folder, known=None):
    text = STUDY % ("{family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}", scorer)
    (job,) = [
        each
        for each in make_plan(parse_study(text, folder=folder), known or {}).jobs
        if each.stage == "rates"
    ]
    return job


def test_a_folder_resolves_against_the_study_and_counts_by_its_bytes(saved, tmp_path):
    folder = saved("beside")
    job = rates_job("{name: hf-classifier, model: beside}", folder.parent)
    again = rates_job(f"{{name: hf-classifier, model: {folder}}}", tmp_path)
    assert job.params["scorer"]["model"] == str(folder) and job.key == again.key
    other = rates_job("{name: hf-classifier, model: beside, threshold: 0.6}", folder.parent)
    assert other.key != job.key
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "layer_norm_epsilon": 1e-3}))
    assert rates_job("{name: hf-classifier, model: beside}", folder.parent).key != job.key


def test_a_classifier_on_the_hub_is_pinned_to_its_commit(tmp_path):
    known = {"hf://org/name@main": "a" * 40}
    job = rates_job("{name: hf-classifier, model: 'hf://org/name'}", tmp_path, known)
    assert job.pins == {"revision": "a" * 40}
    assert job.identity["params"]["scorer"]["model"] == "hf://org/name"


def test_scores_decide_the_rate_at_the_threshold():
    from jobs.behaviour.toxicity import measure_toxicity, score_texts
    from jobs.text.transform import load_transform

    class Reader:
        threshold = 0.5
        verdict = "are read as toxic"

        def scores(self, texts):
            return [{"bad": 0.9, "odd": None}.get(text, 0.1) for text in texts]

    said = ["bad", "onq", "good", "odd"]  # the second is rot13 of the first
    found = score_texts(said, load_transform("rot13"), Reader())
    assert np.array_equal(found, [0.9, 0.9, 0.1, np.nan], equal_nan=True)
    rate, score = measure_toxicity({"toxic_rate", "toxic_score"}, found, np.arange(4), Reader(), 20)
    assert rate.values.tolist() == [1, 1, 0] and score.values.mean() == pytest.approx(1.9 / 3)
    assert "1 of 4 prompts" in rate.note and "are read as toxic" in rate.definition
    for wrong in ([0.5], [0.5] * 9):
        Reader.scores = lambda self, texts, scores=wrong: scores
        with pytest.raises(UserError, match=f"{len(wrong)} scores of 8 texts"):
            score_texts(said, load_transform("rot13"), Reader())


def test_the_largest_of_several_labels_is_the_score(saved, tmp_path):
    folder = saved("several", "multi_label_classification")
    judge = judge_of(folder, tmp_path, label=LABELS[0], more_labels=[LABELS[2], LABELS[0]])
    expected = [float(logits(folder, text).sigmoid()[[0, 2]].max()) for text in TEXTS[:3]]
    assert judge.scores(TEXTS[:3]) == pytest.approx(expected, abs=1e-5)
    assert f"the largest of {LABELS[0]}, {LABELS[2]}" in judge.verdict
    with pytest.raises(UserError, match="label"):
        judge_of(folder, tmp_path, more_labels=["toxik"])


def test_a_classifier_reads_texts_as_its_tokenizer_json_says(saved, tmp_path):
    """Without `do_lower_case` transformers makes a BertTokenizer that lowers every letter."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    folder = saved("cased")
    words = {"<end>": 1, "<unk>": 0, "upper": 2, "UPPER": 3}
    cased = Tokenizer(models.WordPiece(words, unk_token="<unk>"))
    cased.normalizer = normalizers.BertNormalizer(lowercase=False)
    cased.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    cased.save(str(folder / "tokenizer.json"))
    names = {"unk_token": "<unk>", "pad_token": "<end>", "cls_token": "<end>", "sep_token": "<end>"}
    described = {"tokenizer_class": "BertTokenizer", "mask_token": "<unk>", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    judge = judge_of(folder, tmp_path, label="toxic")
    high, low = judge.scores(["UPPER"]), judge.scores(["upper"])
    assert high != low
