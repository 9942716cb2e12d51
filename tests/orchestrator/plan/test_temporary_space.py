"""Models on the way of a training are put together in the temp folder: how much that takes."""

import json

import pytest

from cluster.machine.resources import Resources
from cluster.storage import Storage
from jobs.forecast.upstream_models import model_of_config
from orchestrator.cli import main
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.plan import make_plan
from orchestrator.plan.temporary_space import measure_temporary_space
from orchestrator.study.study import parse_study

CONFIG = {"family": "gpt2", "num_layers": 2, "d_model": 32, "num_heads": 4, "vocab_size": 1000}
SIZE = 4 * model_of_config({**CONFIG, "max_positions": 64}).num_parameters
STUDY = """\
study: temporary
stages:
  base: {kind: pretrained, params: {source: "hf://some/one", config: %s}}
  pairs: {kind: pairs, params: {format: nursery}}
  prompts: {kind: prompts, params: {format: nursery, transform: plain}}
  full: {kind: align, inputs: {model: base, pairs: pairs}, params: {objective: sft, steps: 9, snapshots: {steps: [3], kl: [1]}}}
  adapter: {kind: align, inputs: {model: base, pairs: pairs}, params: {objective: sft, steps: 9, lora: {rank: 2}, snapshots: {steps: [3]}}}
  full-3: {kind: snapshot, inputs: {aligned: full}, params: {snapshot: step-3}}
  full-kl: {kind: snapshot, inputs: {aligned: full}, params: {snapshot: kl-1}}
  full-end: {kind: snapshot, inputs: {aligned: full}, params: {snapshot: end}}
  adapter-3: {kind: snapshot, inputs: {aligned: adapter}, params: {snapshot: step-3}}
  says-base: {kind: behave, inputs: {model: base, prompts: prompts}, params: {toxic_words: prompts}}
  says-full: {kind: behave, inputs: {model: full-3, prompts: prompts}, params: {toxic_words: prompts}}
  says-end: {kind: behave, inputs: {model: full-end, prompts: prompts}, params: {toxic_words: prompts}}
  says-adapter: {kind: behave, inputs: {model: adapter-3, prompts: prompts}, params: {toxic_words: prompts, num_cpus: 2}}
  delta-adapter: {kind: extract, inputs: {base: base, aligned: adapter-3, prompts: prompts}}
  drift-adapter: {kind: weights, inputs: {base: base, aligned: adapter-3}}
  between: {kind: extract, inputs: {base: full-3, aligned: full-kl, prompts: prompts}}
  further: {kind: align, inputs: {model: full-3, pairs: pairs}, params: {objective: sft, steps: 9, snapshots: {steps: [3]}}}
  further-3: {kind: snapshot, inputs: {aligned: further}, params: {snapshot: step-3}}
  says-further: {kind: behave, inputs: {model: further-3, prompts: prompts}, params: {toxic_words: prompts}}
""" % json.dumps({**CONFIG, "max_positions": 64})  # noqa: E501, UP031
PUT_TOGETHER = {
    "says-full": 1,
    "says-adapter": 1,
    "drift-adapter": 1,
    "between": 2,
    "further": 1,
    "says-further": 2,  # what its training began from stands beside it meanwhile
}


@pytest.fixture
def decisions(tmp_path):
    return decide_jobs(make_plan(parse_study(STUDY)), Storage(tmp_path))


def test_every_job_that_opens_a_model_on_the_way_has_its_bytes_once_or_twice(decisions):
    assert SIZE > 100_000
    found = {one.job.stage: one.temporary_bytes for one in decisions if one.temporary_bytes}
    assert found == {stage: number * SIZE for stage, number in PUT_TOGETHER.items()}


def test_a_node_has_room_for_what_it_runs_at_a_time(decisions):
    def at_once(num_cpus):
        space = measure_temporary_space(decisions, [Resources(num_cpus=num_cpus)])
        assert (space.most_bytes, space.num_jobs) == (2 * SIZE, 6)
        return space.at_once_bytes / SIZE

    assert [at_once(num_cpus) for num_cpus in (1, 2, 3, 64)] == [2, 4, 5, 8]
    assert measure_temporary_space([], [Resources(num_cpus=2)]) is None


def test_the_plan_says_it(tmp_path, capsys):
    study = tmp_path / "study.yaml"
    study.write_text(STUDY)
    words = ["plan", str(study), "--root", str(tmp_path / "root"), "--machines", "1x0"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["temporary_bytes"] == 2 * SIZE
    assert main(words) == 0
    (line,) = (s for s in capsys.readouterr().out.splitlines() if "temp folder" in s)
    assert f": up to {2 * SIZE / 1e6:.1f} MB a job" in line
    assert line.endswith("(6 jobs open models on the way)")
