"""What tokenizers would make of a study's texts is told when it is planned."""

import json
import subprocess
import sys

import pytest

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.plan.decisions import RUNS, decide_jobs
from orchestrator.plan.notes_before_running import notes_before_running
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import load_study

STUDY = """\
study: s
axes: {{}}
stages:
  base: {{kind: pretrained, params: {{source: base}}}}
  chat: {{kind: pretrained, params: {{source: chat}}}}
  texts: {{kind: prompts, params: {{format: prompt-chosen-rejected, source: pairs.jsonl}}}}
  pairs: {{kind: pairs, params: {{format: prompt-chosen-rejected, source: pairs.jsonl}}}}
  {stage}
"""
EXTRACT = "d: {kind: extract, inputs: {base: base, aligned: chat, prompts: texts}}"
TUNED = "\n  tuned: {kind: adapter, inputs: {base: base}, params: {source: adapter}}"
IN_TEMPLATE = EXTRACT[:-1] + ", params: {template: chat}}"
STARTED = "{% for m in messages %}{{ '<s> ' + m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"


@pytest.fixture
def folder(tmp_path, tiny_model, word_tokenizer):
    """A study's folder with a base, its chat model, an adapter's files, and texts."""
    write_texts(tmp_path, "word1 word2")
    for name in ("base", "chat"):
        tiny_model("llama", vocab_size=24).save_pretrained(tmp_path / name)
        word_tokenizer(eos_token="<end>").save_pretrained(tmp_path / name)
    (tmp_path / "adapter").mkdir()
    return tmp_path


def write_texts(folder, first):
    rows = [
        {"prompt": text, "chosen": " word4", "rejected": " word5"}
        for text in ("word3 word3", first, *(f"word{at} word6" for at in range(7, 19)))
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def planned(folder, stage):
    (folder / "s.yaml").write_text(STUDY.format(stage=stage))
    plan = make_plan(load_study(folder / "s.yaml"))
    decisions = decide_jobs(plan, Storage(folder / "root"))
    to_run = [each for each in decisions if each.decision in RUNS]
    return notes_before_running(plan, to_run)


def fault(folder, stage):
    with pytest.raises(UserError) as caught:
        planned(folder, stage)
    assert "s.yaml:8" in str(caught.value.where)
    return str(caught.value)


@pytest.fixture
def lowering(folder, word_tokenizer):
    """The chat model's tokenizer is written otherwise: it knows no capitals."""
    from tokenizers import normalizers

    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.save_pretrained(folder / "chat")


@pytest.mark.usefixtures("lowering")
@pytest.mark.parametrize("kind", ["extract", "predictions"])
def test_two_spellings_of_a_tokenizer_are_tried_on_the_prompts(folder, kind):
    stage = EXTRACT.replace("extract", kind)
    if kind == "predictions":
        stage = stage.replace("prompts: texts", "prompts: texts, lexicon: pairs")
    planned(folder, stage)
    write_texts(folder, "word1 WORD2")
    assert "give prompt 1 other ids" in fault(folder, stage)


@pytest.fixture
def extended(folder, word_tokenizer):
    """Both tokenizers have a token that neither model has a row for."""
    for name in ("base", "chat"):
        tokenizer = word_tokenizer(eos_token="<end>")
        tokenizer.add_special_tokens({"additional_special_tokens": ["<a>", "<b>", "<image>"]})
        tokenizer.save_pretrained(folder / name)


@pytest.mark.usefixtures("extended")
@pytest.mark.parametrize(
    "stage",
    [
        EXTRACT,
        "b: {kind: behave, inputs: {model: base, prompts: texts}, params: {metrics: [perplexity]}}",
        "r: {kind: reference, inputs: {model: chat, pairs: pairs}, params: {max_dropped: 0}}",
        "a: {kind: align, inputs: {model: base, pairs: pairs}, "
        "params: {objective: sft, steps: 1, max_dropped: 0}}",
    ],
)
def test_a_token_beyond_the_rows_is_refused_where_a_text_uses_it(folder, stage):
    assert not any("<image>" in note for note in planned(folder, stage))
    write_texts(folder, "word1 <image> word2")
    assert "uses '<image>', which the" in fault(folder, stage)


def test_a_start_of_turn_that_is_also_the_bos_may_stand_at_every_turn(folder, word_tokenizer):
    tokenizer = word_tokenizer(eos_token="<end>", bos_token="<s>")
    tokenizer.chat_template = STARTED
    for name in ("base", "chat"):
        tokenizer.save_pretrained(folder / name)
    planned(folder, IN_TEMPLATE)
    tokenizer.chat_template = "<s> " + STARTED
    for name in ("base", "chat"):
        tokenizer.save_pretrained(folder / name)
    assert "more than one <s> begins the text" in fault(folder, IN_TEMPLATE)


def test_the_tokenizer_of_an_adapter_comes_before_its_bases(folder, word_tokenizer):
    from tokenizers import normalizers

    stage = EXTRACT.replace("chat", "tuned") + TUNED
    write_texts(folder, "word1 WORD2")
    settings = {"peft_type": "LORA", "r": 1, "target_modules": ["q_proj"]}
    (folder / "adapter/adapter_config.json").write_text(json.dumps(settings))
    from safetensors.numpy import save_file

    save_file({}, folder / "adapter/adapter_model.safetensors")
    planned(folder, stage)
    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.save_pretrained(folder / "adapter")
    assert "give prompt 1 other ids" in fault(folder, stage)


def test_one_tokenizer_for_both_is_not_even_loaded(folder):
    code = """
import sys
from pathlib import Path
from tests.orchestrator.plan.test_tokens_at_planning import EXTRACT, planned
planned(Path(sys.argv[1]), EXTRACT)
print("transformers" in sys.modules)
"""
    words = [sys.executable, "-c", code, str(folder)]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert told.split()[-1] == "False"
