"""What a stage sends to which host stands in the plan, whether or not a key goes with it."""

import pytest

from cluster.storage import Storage
from orchestrator.plan.decisions import RUNS, decide_jobs
from orchestrator.plan.notes_before_running import notes_before_running
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import load_study

STUDY = """\
study: s
axes: {}
stages:
  base: {kind: pretrained, params: {source: base}}
  texts: {kind: prompts, params: {format: nursery}}
  says:
    kind: behave
    inputs: {model: base, prompts: texts}
    params:
      toxic_words: prompts
      metrics: [METRIC]
      num_gpus: 1
      served: {base_url: "http://node7:8000/v1", model: aligned}
  closed:
    kind: ask
    inputs: {prompts: texts}
    params:
      base_url: "https://api.example.com/v1"
      model: m
      scorer: {name: perspective, url: "https://judge.example.com/x"}
"""


@pytest.fixture
def notes(tmp_path, tiny_model, word_tokenizer):
    def of(metric):
        tiny_model("llama", vocab_size=24).save_pretrained(tmp_path / "base")
        word_tokenizer(eos_token="<end>").save_pretrained(tmp_path / "base")
        (tmp_path / "s.yaml").write_text(STUDY.replace("METRIC", metric))
        plan = make_plan(load_study(tmp_path / "s.yaml"))
        decisions = decide_jobs(plan, Storage(tmp_path / "root"))
        return notes_before_running(plan, [each for each in decisions if each.decision in RUNS])

    return of


def test_every_stage_says_what_it_sends_where_and_whether_its_gpu_is_of_use(notes):
    said = notes("word_f1")
    path = said[0].partition("s.yaml:")[0]
    sent = [note.removeprefix(f"{path}s.yaml:") for note in said if "sends" in note]
    assert sent == [
        "6: it sends prompts (as token ids) to http://node7:8000",
        "14: it sends prompts (as chat messages) to api.example.com",
        "14: it sends texts that the model writes to judge.example.com",
    ]
    assert [note for note in said if "this job's GPU is for the check" in note]
    assert not [note for note in notes("word_f1, perplexity") if "this job's GPU" in note]


def test_nothing_but_a_metric_of_continuations_is_served(notes):
    from cluster.errors import UserError

    with pytest.raises(UserError, match="nothing to serve") as fault:
        notes("perplexity")
    assert "s.yaml:13" in str(fault.value.where)
