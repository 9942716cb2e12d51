"""A metric that the study names and that can have no number is refused when it is planned."""

import pytest

from analysis.metric import METRICS
from cluster.errors import UserError
from jobs.kinds.measure import Measure
from jobs.kinds.weights import Weights
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.notes_before_running import notes_before_running
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study
from tests.jobs.measuring.test_few_prompts import upstream

MEASURE = Measure()


def notes_of(params, positions=None, **given):
    delta = upstream("extract", {"positions": positions})
    inputs = {"delta": delta, **{name: upstream("extract", {}) for name in given}}
    return list(MEASURE.notes(MEASURE.Params(**params), inputs))


@pytest.mark.parametrize("name", METRICS.package_names())
def test_a_named_metric_that_needs_an_input_must_have_it(name):
    metric = METRICS.find(name)
    needed = {"against": metric.NEEDS_AGAINST, "toxic": metric.NEEDS_TOXIC}
    positions = ["response-depths"]
    all_given = {name: True for name in needed}
    assert notes_of({"metrics": [name]}, positions, **all_given) == []
    for lacking in [each for each, is_needed in needed.items() if is_needed]:
        given = {each: True for each in needed if each != lacking}
        with pytest.raises(UserError, match=f"{name} needs the input '{lacking}'") as caught:
            notes_of({"metrics": ["consistency", name]}, positions, **given)
        assert caught.value.where == "metrics"


def test_all_takes_what_it_finds_and_what_is_named_beside_it_does_not():
    assert notes_of({"metrics": "all"}) == []
    with pytest.raises(UserError, match="shared_part needs the input 'against'"):
        notes_of({"metrics": ["all", "shared_part"]})


def test_what_is_held_against_the_first_token_needs_it():
    both = {"metrics": ["consistency", "first_token_cosine"], "over_answer": ["half_depth"]}
    assert notes_of(both, ["last", "response-0"]) == []
    with pytest.raises(UserError, match="first_token_cosine is held .* positions: last, response"):
        notes_of(both)
    with pytest.raises(UserError, match="half_depth is held") as caught:
        notes_of({"metrics": ["consistency"], "over_answer": ["half_depth"]}, ["response-4"])
    assert caught.value.where == "over_answer"


def test_metrics_of_weights_say_that_mean_offsets_are_not_given():
    kind, given = Weights(), {"delta": upstream("extract", {})}
    named = kind.Params(metrics=["down_projection_rank1", "weight_drift"])
    (note,) = kind.notes(named, {})
    assert note.startswith("of down_projection_rank1 what is compared with mean δ")
    assert kind.notes(named, given) == [] == kind.notes(kind.Params(), {})


STUDY = """\
study: s
stages:
  base: {kind: pretrain, params: {format: nursery, steps: 1,
         config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}}}
  texts: {kind: prompts, params: {format: nursery}}
  delta: {kind: extract, inputs: {base: base, aligned: base, prompts: texts}}
  shared: {kind: measure, inputs: {delta: delta}, params: {metrics: [shared_part]}}
"""


def test_the_plan_says_at_which_line(tmp_path):
    from cluster.storage import Storage

    plan = make_plan(parse_study(STUDY))
    with pytest.raises(UserError, match="shared_part needs the input 'against'") as caught:
        notes_before_running(plan, decide_jobs(plan, Storage(tmp_path)))
    assert "metrics" in str(caught.value.where) and "7" in str(caught.value.where)
