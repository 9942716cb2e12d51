"""Who reads a model that only refers to others reads those: they stay until then, and come back."""

from orchestrator.dispatch.job_states import JobStates
from orchestrator.plan.plan import make_plan
from orchestrator.plan.retention import keys_read_by, retention_of
from orchestrator.study.study import parse_study
from orchestrator.views.status import unmet_needs

STUDY = """\
study: through
axes:
  model: [{name: small, config: {family: gpt2, num_layers: 1, d_model: 16, num_heads: 2}}]
  snapshot: [step-3, end]
stages:
  base:
    kind: pretrain
    over: [model]
    keep: until-read
    params: {config: "${model.config}", format: nursery, steps: 1}
  pairs: {kind: pairs, params: {format: nursery}}
  prompts: {kind: prompts, params: {format: nursery, transform: plain}}
  aligned:
    kind: align
    keep: until-read
    inputs: {model: base, pairs: pairs}
    params: {objective: sft, steps: 9, snapshots: {steps: [3]}}
  dosed:
    kind: snapshot
    over: [snapshot]
    inputs: {aligned: aligned}
    params: {snapshot: "${snapshot}"}
  said:
    kind: behave
    inputs: {model: dosed, prompts: prompts}
    params: {toxic_words: prompts}
"""


def test_the_training_and_its_base_stay_until_all_that_read_a_snapshot_are_done():
    plan = make_plan(parse_study(STUDY))
    keys = {stage: {job.key for job in jobs} for stage, jobs in plan.stages.items()}
    readers = retention_of(plan).readers
    (base,), (aligned,) = keys["base"], keys["aligned"]
    assert readers[aligned] == keys["dosed"] | keys["said"]
    assert readers[base] == keys["aligned"] | keys["said"]
    for job in plan.stages["said"]:
        assert {base, aligned} <= keys_read_by(job, plan.by_key)
    for job in plan.stages["aligned"]:
        assert keys_read_by(job, plan.by_key) == {base, *keys["pairs"]}


def test_what_was_let_go_comes_back_before_a_new_reader_of_a_snapshot_starts():
    plan = make_plan(parse_study(STUDY))
    keys = {stage: {job.key for job in jobs} for stage, jobs in plan.stages.items()}
    (base,), (aligned,) = keys["base"], keys["aligned"]
    done = plan.by_key.keys() - {base, aligned} - keys["said"]
    states = JobStates(plan.jobs, done)
    assert states.startable() == [base]
    assert states.finish(base) == [aligned]
    assert set(states.finish(aligned)) == keys["said"]


def test_status_says_what_such_a_reader_waits_for():
    plan = make_plan(parse_study(STUDY))
    said = {job.key for job in plan.stages["said"]}
    done = plan.by_key.keys() - said - {job.key for job in plan.stages["aligned"]}
    states = JobStates(plan.jobs, done)
    assert {needed for key in said for needed in unmet_needs(states, key)} == {
        job.key for job in plan.stages["aligned"]
    }
