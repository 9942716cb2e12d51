"""Why a job measured nothing: its own failure, memory, or the job that it waits for."""

from contextlib import nullcontext

import pytest

from cluster.executors.local import Executor
from cluster.storage import Storage
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.plan.decided_plan import DecidedPlan, decide_plan
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.plan import make_plan
from orchestrator.records.events import Ended, LaunchStarted, Refused, Submitted
from orchestrator.records.failure import Result
from orchestrator.records.history import gather
from orchestrator.study.study import parse_study
from orchestrator.views.study_views import collect_measured, comparisons, why_missing

CHAIN = """\
study: chain
stages:
  base: {kind: probe, params: {index: 1}}
  next: {kind: probe, inputs: {after: base}, params: {index: 1, waits: true}}
  last: {kind: probe, inputs: {after: next}, params: {index: 2, waits: true}}
"""


@pytest.fixture
def missing(tmp_path):
    """A function: how the tries of `base` ended -> stage: status and reason."""

    def tell(*results, refused=None):
        plan = make_plan(parse_study(CHAIN))
        base = plan.jobs[0].key
        events = [LaunchStarted(at=0, launch="l", host="h", pid=1, executor="local", fresh=False)]
        for number, result in enumerate(results):
            attempt = {"at": 1.0, "key": base, "attempt": str(number)}
            events.append(Submitted(**attempt))
            events.append(Ended(**attempt, result=result, seconds=1, message="it broke"))
        if refused:
            events.append(Refused(at=2.0, key=base, message=refused))
        history = gather(events)
        failed = {key: "failed: it broke" for key, past in history.jobs.items() if past.given_up}
        decisions = decide_jobs(plan, Storage(tmp_path), failed, past=history)
        decided = DecidedPlan(plan=plan, decisions=decisions, history=history)
        return {each.job.stage: why_missing(decided, each) for each in decisions}

    return tell


def test_what_ran_out_of_memory_takes_all_that_waits_for_it_along(missing):
    found = missing(Result.OUT_OF_MEMORY, Result.OUT_OF_MEMORY)
    assert {status for status, _ in found.values()} == {"out_of_memory"}
    assert "base failed: it broke" in found["last"][1]


def test_what_has_no_layout_left_to_try_ran_out_of_memory_and_so_did_what_waits_for_it(missing):
    found = missing(Result.OUT_OF_MEMORY, refused="no other layout is left to try")
    assert {status for status, _ in found.values()} == {"out_of_memory"}
    assert "no other layout is left to try" in found["last"][1]


def test_what_failed_otherwise_is_a_failed_job(missing):
    found = missing(Result.MISTAKE)
    assert {status for status, _ in found.values()} == {"job_failed"}
    assert found["next"][1].endswith("base failed: it broke")


def test_what_was_never_tried_is_not_run_and_one_refused_says_what_it_needs(missing):
    assert missing()["base"] == ("not_run", "stage base is not run yet")
    status, reason = missing(refused="needs 80 GB, there are 24")["base"]
    assert status == "not_run" and "needs 80 GB" in reason


BLOCKED = """\
study: blocked
axes: {seed: [0, 1]}
stages:
  base: {kind: pretrain, params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
         format: nursery, steps: 1, learning_rate: 1e-3}}
  pairs: {kind: pairs, params: {format: nursery}}
  texts: {kind: prompts, params: {format: nursery}}
  aligned: {kind: align, over: [seed], inputs: {model: base, pairs: pairs},
            params: {objective: sft, steps: 1, seed: "${seed}"}}
  delta: {kind: extract, inputs: {base: base, aligned: aligned, prompts: texts}}
  geometry: {kind: measure, inputs: {delta: delta}}
  table: {kind: compare, gather: [geometry], per: []}
"""


def test_the_model_of_what_is_not_measured_is_known_from_its_base(tmp_path):
    study = parse_study(BLOCKED)
    root = Storage(tmp_path)
    options = {"executor": Executor(), "executor_name": "local", "only": ["base"]}
    launch(root, study, progress=lambda: nullcontext(Watcher()), **options)

    decided = decide_plan(root, study)
    gathered = collect_measured(root, decided, comparisons(decided)[0]).gathered.to_pylist()

    models = {(row["model"], row["family"], row["num_parameters"]) for row in gathered}
    ((name, family, size),) = models
    assert family == "gpt2" and size > 0 and name == f"gpt2-{size}"
    assert {row["status"] for row in gathered} == {"not_run"}


@pytest.mark.parametrize(("vocab", "size"), [("", None), (", vocab_size: 50", 9_480)])
def test_the_model_of_a_base_that_was_never_made_is_known_from_its_config(tmp_path, vocab, size):
    text = BLOCKED.replace("num_heads: 1}", "num_heads: 1" + vocab + "}")
    decided = decide_plan(Storage(tmp_path), parse_study(text))
    gathered = collect_measured(Storage(tmp_path), decided, comparisons(decided)[0]).gathered
    assert {row["family"] for row in gathered.to_pylist()} == {"gpt2"}
    assert {row["num_parameters"] for row in gathered.to_pylist()} == {size}


def test_what_has_changed_is_said_where_it_did_and_from_what_to_what(tmp_path):
    """Settings of a stage that nobody touched are not said to be other ones."""
    text = CHAIN
    root, options = Storage(tmp_path), {"executor": Executor(), "executor_name": "local"}
    launch(root, parse_study(text), progress=lambda: nullcontext(Watcher()), **options)

    decided = decide_plan(
        root, parse_study(text.replace("index: 1}}\n  next", "index: 3}}\n  next"))
    )
    told = {each.job.stage: why_missing(decided, each) for each in decided.decisions}

    changed = "changed (index: 1 -> 3)"
    assert told["base"] == ("not_run", f"stage base has not run since it {changed}")
    assert told["last"] == ("not_run", f"stage last has not run since base {changed}")
