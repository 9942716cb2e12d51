"""What a plan says that jobs will leave out, before anything runs."""

import json
import shutil

import pytest

from orchestrator.cli import main

STRICT = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ message['role'] + ' word1 ' + message['content'] + ' <end> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant word1 ' }}{% endif %}"
)
STUDY = """
study: strict
axes: {{}}
stages:
  base:      {{kind: pretrained, params: {{source: model}}}}
  pairs:     {{kind: pairs, params: {{format: messages, source: rows.jsonl{more}}}}}
  prompts:   {{kind: prompts, params: {{format: messages, source: rows.jsonl}}}}
  reference: {{kind: reference, inputs: {{model: base, pairs: pairs}}, params: {{template: chat}}}}
  dx:
    kind: extract
    inputs: {{base: base, aligned: tuned, prompts: prompts}}
    params: {{template: chat}}
  tuned:     {{kind: pretrained, params: {{source: tuned}}}}
"""


@pytest.fixture
def study(tmp_path, tiny_model, word_tokenizer):
    """A function: how many of 24 conversations break the template -> the study's file."""
    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.chat_template = STRICT
    tokenizer.save_pretrained(tmp_path / "model")
    tiny_model("gpt2").save_pretrained(tmp_path / "model")
    shutil.copytree(tmp_path / "model", tmp_path / "tuned")
    tiny_model("gpt2", max_positions=1000).save_pretrained(tmp_path / "tuned")

    def build(num_bad, more=""):
        rows = []
        for number in range(24):
            asked = [{"role": "user", "content": f"word{number % 20} word{number // 20}"}]
            asked = asked * 2 if number >= 24 - num_bad else asked
            sides = {"chosen": "word2", "rejected": "word3"}
            rows.append(
                {
                    side: [*asked, {"role": "assistant", "content": text}]
                    for side, text in sides.items()
                }
            )
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "study.yaml").write_text(STUDY.format(more=more))
        return str(tmp_path / "study.yaml")

    return build


def notes_of(capsys, study, tmp_path):
    capsys.readouterr()
    assert main(["plan", study, "--root", str(tmp_path / "root"), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["notes"]


def test_a_plan_says_what_a_template_will_refuse_and_nothing_where_it_refuses_nothing(
    capsys, study, tmp_path
):
    assert notes_of(capsys, study(0), tmp_path) == []
    pairs, prompts = notes_of(capsys, study(1), tmp_path)
    assert "study.yaml:8: 1 of 24 pairs are left out" in pairs
    assert "roles must alternate: row 24 of the source" in pairs
    assert "study.yaml:9: 1 of 24 prompts are left out" in prompts and "prompt 23" in prompts


def test_more_than_may_be_dropped_is_refused_at_planning(capsys, study, tmp_path):
    assert main(["plan", study(5), "--root", str(tmp_path / "root")]) == 2
    told = capsys.readouterr().err
    assert "roles must alternate: rows 20, 21, 22, 23, 24" in told
    assert "5 of 24 pairs" in told and "max_dropped" in told


def test_the_jobs_leave_out_what_the_plan_said(capsys, study, tmp_path):
    root = str(tmp_path / "root")
    path = study(1)
    assert main(["launch", path, "--executor", "local", "--root", root]) == 0
    assert "1 of 24 pairs are left out" in capsys.readouterr().err
    facts = {
        kind: json.loads(next(artifacts.glob("*/record.json")).read_text())["facts"]
        for kind in ("reference", "extract")
        for artifacts in [tmp_path / "root" / "artifacts" / kind]
    }
    assert facts["reference"]["num_pairs"] == 23 and facts["reference"]["num_dropped"] == 1
    (reason,) = facts["reference"]["dropped"]
    assert "roles must alternate" in reason
    assert facts["extract"]["store"]["refused"] == {reason: [23]}


def test_texts_that_stand_in_a_template_already_are_named(capsys, study, tmp_path):
    path = study(0)
    rows = (tmp_path / "rows.jsonl").read_text().replace('"word3 word0"', '"word3 <end> word0"')
    (tmp_path / "rows.jsonl").write_text(rows)
    pairs, prompts = notes_of(capsys, path, tmp_path)
    assert "study.yaml:8: the texts of row 4 hold <end>, which the chat template writes" in pairs
    assert "study.yaml:9: the texts of prompt 3 hold <end>" in prompts


def test_a_template_that_no_tokenizer_has_is_told_with_what_is_there(capsys, study, tmp_path):
    path = study(0)
    for name in ("model", "tuned"):
        (tmp_path / name / "chat_template.jinja").unlink()
        (tmp_path / name / "chat_template.json").write_text("{}")
    assert main(["plan", path, "--root", str(tmp_path / "root")]) == 2
    told = capsys.readouterr().err
    assert "has no chat template" in told and "chat_template.json is read by processors" in told
    (tmp_path / "study.yaml").write_text(
        "\n".join(line for line in STUDY.format(more="").splitlines() if "reference:" not in line)
    )
    (note,) = notes_of(capsys, path, tmp_path)
    assert "the base has no chat template" in note and "the job is refused" in note
    config = tmp_path / "tuned" / "tokenizer_config.json"
    named = {"chat_template": [{"name": "tool_use", "template": STRICT}]}
    config.write_text(json.dumps({**json.loads(config.read_text()), **named}))
    (note,) = notes_of(capsys, path, tmp_path)
    assert "has chat templates tool_use, and none of the name default" in note


def test_models_of_two_shapes_are_refused_before_anything_runs(study, tmp_path, capsys, tiny_model):
    path = study(0)
    tiny_model("gpt2", num_layers=3).save_pretrained(tmp_path / "tuned")
    assert main(["plan", path, "--root", str(tmp_path / "root")]) == 2
    assert "not two states of one model: num_layers is 2 and 3" in capsys.readouterr().err


ALIGNED = """
study: agreed
axes: {{}}
stages:
  base:
    kind: pretrain
    params:
      config: {{family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}}
      format: nursery
      steps: 1
  pairs: {{kind: pairs, params: {{format: nursery}}}}
  others: {{kind: pairs, params: {{format: nursery, validation_fraction: 0.5}}}}
  reference: {{kind: reference, inputs: {{model: base, pairs: {pairs}}}, params: {{{there}}}}}
  aligned:
    kind: align
    inputs: {{model: base, pairs: pairs, reference: reference}}
    params: {{objective: {objective}, steps: 1{here}}}
"""


def planned(tmp_path, *, pairs="pairs", there="", objective="dpo", here=""):
    file = tmp_path / "agreed.yaml"
    file.write_text(ALIGNED.format(pairs=pairs, there=there, objective=objective, here=here))
    return main(["plan", str(file), "--root", str(tmp_path / "root"), "--json"])


@pytest.mark.parametrize("verb", ["plan", "launch"])
@pytest.mark.parametrize(
    ("there", "here", "name"),
    [
        ("", ", end_of_text: true", "end_of_text"),
        ("dtype: bfloat16", "", "dtype"),
        ("attention: eager", "", "attention"),
    ],
)
def test_a_reference_that_training_will_refuse_is_told_before_it_is_computed(
    tmp_path, capsys, verb, there, here, name
):
    assert planned(tmp_path, there=there, here=here) == 2
    words = [verb, str(tmp_path / "agreed.yaml"), "--root", str(tmp_path / "root"), "--json"]
    capsys.readouterr()
    assert main(words) == 2
    told = json.loads(capsys.readouterr().out)
    assert f"the reference was computed with {name}" in told["error"]
    assert "agreed.yaml:14" in told["where"] and name in told["hint"]
    assert not (tmp_path / "root" / "artifacts").exists()


def test_what_a_reference_and_training_say_alike_or_training_never_reads_is_no_mistake(
    tmp_path, capsys
):
    both = {"there": "end_of_text: true", "here": ", end_of_text: true"}
    assert planned(tmp_path, **both) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
    assert planned(tmp_path, there="dtype: bfloat16", objective="sft") == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [({"here": ", max_length: 8"}, "max_length is 8 here"), ({"pairs": "others"}, "another stage")],
)
def test_other_tokens_that_a_reference_may_see_are_a_note(tmp_path, capsys, change, said):
    assert planned(tmp_path, **change) == 0
    assert any(said in note for note in json.loads(capsys.readouterr().out)["notes"])
