"""What a plan says of texts that are longer than their model holds: left out, or cut."""

import json
import shutil

import pytest

from orchestrator.cli import main

STUDY = """
study: long
axes: {{}}
stages:
  base:      {{kind: pretrained, params: {{source: model}}}}
  pairs:     {{kind: pairs, params: {{format: prompt-chosen-rejected, source: rows.jsonl}}}}
  prompts:
    {{kind: prompts, params: {{format: prompt-chosen-rejected, source: rows.jsonl}}}}
  reference: {{kind: reference, inputs: {{model: base, pairs: pairs}}, params: {{{pairs}}}}}
  dx:
    {{kind: extract, inputs: {{base: base, aligned: tuned, prompts: prompts}}, params: {{{dx}}}}}
  said:
    kind: behave
    inputs: {{model: base, prompts: prompts}}
    params: {{metrics: [perplexity], new_tokens: 8}}
  tuned: {{kind: pretrained, params: {{source: tuned}}}}
"""


@pytest.fixture
def study(tmp_path, tiny_model, word_tokenizer):
    """A function: params of reference and extract -> the study, 3 of 24 texts of 40 words."""
    tokenizer = word_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}word1 {{ m['content'] }} word1 {% endfor %}"
    tokenizer.save_pretrained(tmp_path / "model")
    tiny_model("llama", max_positions=32).save_pretrained(tmp_path / "model")
    shutil.copytree(tmp_path / "model", tmp_path / "tuned")
    tiny_model("llama", max_positions=33).save_pretrained(tmp_path / "tuned")
    rows = [
        {
            "prompt": " ".join([f"word{n % 20}", f"word{n // 20}"] * (20 if n >= 21 else 1)),
            "chosen": " word2 word4",
            "rejected": " word3",
        }
        for n in range(24)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def build(pairs="", dx=""):
        (tmp_path / "study.yaml").write_text(STUDY.format(pairs=pairs, dx=dx))
        return ["plan", str(tmp_path / "study.yaml"), "--root", str(tmp_path / "root"), "--json"]

    return build


def notes_of(capsys, words):
    capsys.readouterr()
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)["notes"]


@pytest.mark.parametrize("template", ["none", "chat"])
def test_what_is_cut_and_left_out_is_said(capsys, study, template):
    notes = notes_of(capsys, study(f"template: {template}", f"template: {template}"))
    pairs, prompts, said = (note for note in notes if "tokens" in note and "of 24" in note)
    assert "yaml:9: 3 of 24 pairs are cut to 32 tokens, prompts at their beginning" in pairs
    assert "rows 22, 23, 24 of the source" in pairs
    assert "3 of 24 prompts are left out: longer than the 32 tokens" in prompts
    assert "prompts 21, 22, 23" in prompts
    assert "longer than the 24 tokens" in said  # 8 are to be written


def test_what_is_cut_to_fit_is_not_left_out(capsys, study):
    notes = notes_of(capsys, study("max_length: 32", "prompt_tokens: 30"))
    assert not any("study.yaml:11" in note for note in notes)


def test_what_fits_nowhere_is_refused(capsys, study):
    assert main(study("max_length: 64")) == 2
    assert "max_length 64 is more than the 32 positions" in capsys.readouterr().out
    assert main(study(dx="max_length: 2")) == 2
    assert "no prompt fits: all 24 are longer than 2 tokens" in capsys.readouterr().out
