# ruff: noqa: E501
import json

import pytest

from cluster.errors import UserError
from jobs.models.family import family_of
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.study.study import parse_study
from orchestrator.study.template import study_template

STUDY = study_template("s", "s.yaml")


def plan_of(text: str, **options) -> Plan:
    return make_plan(parse_study(text, **options))


def line_of(part: str) -> int:
    return next(number for number, line in enumerate(STUDY.splitlines(), start=1) if part in line)


@pytest.mark.parametrize(
    ("old", "new", "error", "hint", "at", "cell"),
    [
        ("[dpo, sft]", "[dpo, sfft]", "unknown objective 'sfft'", "'sft'", 'objective: "$', " [objective=sfft]"),
        ("{family: gpt2, num_layers: 3", "{family: gtp2, num_layers: 3", "'gtp2'", "'gpt2'", 'config: "$', " [model=gpt2-0.1m]"),
        ("[plain, rot13]", "[plain, rot14]", "unknown transform 'rot14'", "'rot13'", 'transform: "$', " [condition=rot14]"),
        ("format: nursery\n", "format: nursry\n", "unknown format 'nursry'", "'nursery'", "format: nursery", ""),
        ("optimizer: adamw", "optimizer: adam", "unknown optimizer 'adam'", "'adamw'", "optimizer: adamw", ""),
        ("learning_rate: 2.0e-5", "learning_rate: -1", "'learning_rate': Input should be greater than 0, got -1", None, "learning_rate: 2.0e-5", ""),
        ("learning_rate: 2.0e-5", "beta: 0.1", "objective 'sft' has no beta", "leave beta out", "learning_rate: 2.0e-5", ""),
        ("steps: 180", "steps: 1.5", "'steps'", None, "steps: 180", ""),
        ("gather: [geometry, rates,", "gather: [geometry, texts,", "cannot gather jobs of kind 'prompts'", None, "gather: [", ""),
        ("prompts: texts}}\n\n", "prompts: pairs}}\n\n", "cannot be a job of kind 'pairs'", "texts", "delta: {kind", ""),
    ],
)  # fmt: skip
def test_what_a_kind_refuses_points_at_the_param_and_the_cell(old, new, error, hint, at, cell):
    assert old in STUDY
    with pytest.raises(UserError) as caught:
        plan_of(STUDY.replace(old, new, 1))
    assert error in caught.value.error
    assert caught.value.where.split(",")[0] == f"study.yaml:{line_of(at)}{cell}"
    if hint:
        assert hint in caught.value.hint


def test_an_unknown_metric_points_at_the_metrics():
    text = (
        STUDY
        + "  more: {kind: measure, inputs: {delta: delta},\n    params: {metrics: [ofset-norm]}}\n"
    )
    with pytest.raises(UserError) as caught:
        plan_of(text)
    assert caught.value.where == f"study.yaml:{len(text.splitlines())}"
    assert "offset_norm" in caught.value.hint


def test_all_faults_of_one_jobs_params_come_in_one_message():
    text = STUDY.replace("learning_rate: 2.0e-5", "learning_rate: -1")
    text = text.replace("warmup_steps: 15", "warmup_step: 15")
    with pytest.raises(UserError) as caught:
        plan_of(text)
    assert "warmup_step" in caught.value.error and "warmup_steps" in caught.value.hint
    at = line_of("learning_rate: 2.0e-5")
    assert f"study.yaml:{at}: param 'learning_rate'" in caught.value.error


def test_a_wrong_choice_in_a_list_is_not_also_a_list_too_short():
    text = (
        STUDY
        + "  more: {kind: behave, inputs: {model: base, prompts: texts},\n"
        + "    params: {metrics: [toxic_mas]}}\n"
    )
    with pytest.raises(UserError) as caught:
        plan_of(text)
    assert "also" not in caught.value.error
    assert "toxic_mass" in caught.value.hint


MODEL = 'study: s\nstages:\n  base: {kind: pretrained, params: {source: "%s"%s}}\n'


def test_what_a_launch_resolved_is_pinned_and_enters_the_key():
    study = parse_study(MODEL % ("hf://org/name", ""))
    unresolved, first, second = (
        make_plan(study, known).jobs[0]
        for known in (None, {"hf://org/name@main": "a" * 40}, {"hf://org/name@main": "b" * 40})
    )
    assert first.pins == {"revision": "a" * 40}
    assert len({unresolved.key, first.key, second.key}) == 3
    assert first.identity["params"]["source"] == "hf://org/name"


def save_tokenizer(folder, word) -> None:
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordLevel({word: 0}, unk_token=word)).save(str(folder / "tokenizer.json"))


def save_model(folder) -> None:
    import numpy
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    config = {"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 1, "vocab_size": 16}
    (folder / "config.json").write_text(json.dumps(config))
    save_tokenizer(folder, "word")
    weights = family_of("gpt2").num_parameters(config)[0]
    save_file({"a": numpy.zeros(weights, numpy.float32)}, folder / "model.safetensors")


def test_a_models_folder_resolves_against_the_study_and_its_path_stays_out_of_the_key(tmp_path):
    for place in ("one/model", "two/model"):
        save_model(tmp_path / place)
    first = plan_of(MODEL % ("model", ""), folder=tmp_path / "one").jobs[0]
    second = plan_of(MODEL % ("../two/model", ""), folder=tmp_path / "one").jobs[0]
    assert first.params["source"] == str(tmp_path / "one/model")
    assert first.key == second.key
    save_tokenizer(tmp_path / "two/model", "other")
    third = plan_of(MODEL % ("../two/model", ""), folder=tmp_path / "one").jobs[0]
    assert third.key != first.key


def test_a_models_folder_that_is_not_there_points_at_the_source(tmp_path):
    with pytest.raises(UserError) as caught:
        plan_of(MODEL % ("nowhere", ""), folder=tmp_path)
    assert caught.value.where.startswith("study.yaml:3")


def test_a_link_to_nothing_in_a_folder_of_data_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    row = {"prompt": "p", "chosen": " a", "rejected": " b"}
    (tmp_path / "data/a.jsonl").write_text(json.dumps(row))
    (tmp_path / "data/README.md").symlink_to("gone")
    text = "study: s\nstages:\n  p: {kind: pairs, params: {format: prompt-chosen-rejected, source: data}}\n"
    with pytest.raises(UserError, match=r"data/README\.md is a link to nothing"):
        plan_of(text, folder=tmp_path)


def test_a_secret_in_the_data_folder_is_refused(monkeypatch):
    monkeypatch.setenv("DELTASCALE_DATA", "s3://key:hunter2@bucket")
    text = 'study: s\nstages:\n  p: {kind: pairs, params: {format: text, source: "${DELTASCALE_DATA}/x"}}\n'
    with pytest.raises(UserError) as caught:
        plan_of(text)
    assert "secret" in caught.value.error
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "line"),
    [
        (["format: text", "source: nowhere.jsonl"], 7),
        (["format: nursery", "options: {num_document: 3}"], 6),  # the fault names the format
    ],
)
def test_a_fault_of_the_data_points_at_the_param_that_names_it(params, line, tmp_path):
    text = "\n      ".join(["study: s\nstages:\n  p:\n    kind: prompts\n    params:", *params])
    with pytest.raises(UserError) as caught:
        plan_of(text, folder=tmp_path)
    assert caught.value.where.split(",")[0] == f"study.yaml:{line}"
