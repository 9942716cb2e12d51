"""What a plan says that jobs will leave out, before anything runs."""

import json

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
    inputs: {{base: base, aligned: base, prompts: prompts}}
    params: {{template: chat}}
"""


@pytest.fixture
def study(tmp_path, tiny_model, word_tokenizer):
    """A function: how many of 24 conversations break the template -> the study's file."""
    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.chat_template = STRICT
    tokenizer.save_pretrained(tmp_path / "model")
    tiny_model("gpt2").save_pretrained(tmp_path / "model")

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
