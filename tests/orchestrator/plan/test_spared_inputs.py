"""Inputs that a job uses where it has them and can do without, by its params."""

import pytest

from cluster.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study

STUDY = """\
study: s
stages:
  base: {{kind: pretrain, params: {{format: nursery, steps: 1,
         config: {{family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}}}}}}
  pairs: {{kind: pairs, params: {{format: nursery}}}}
  reference: {{kind: reference, inputs: {{model: base, pairs: pairs}}}}
  aligned: {{kind: align, inputs: {{model: base, pairs: pairs{given}}}, params: {{lora: {lora}}}}}
"""


def aligned(lora, given=""):
    jobs = make_plan(parse_study(STUDY.format(lora=lora, given=given))).jobs
    return next(job for job in jobs if job.stage == "aligned")


def test_training_all_weights_needs_the_reference():
    with pytest.raises(UserError, match="needs the input 'reference'"):
        aligned("null")
    assert "reference" in aligned("null", ", reference: reference").inputs


def test_an_adapter_uses_the_reference_where_it_is_given_and_does_without():
    given, without = aligned("{rank: 4}", ", reference: reference"), aligned("{rank: 4}")
    assert "reference" in given.inputs and "reference" not in without.inputs
    assert given.key != without.key


def test_a_quantised_base_is_its_own_reference_whatever_is_given():
    lora = "{quantised: nf4}"
    given, without = aligned(lora, ", reference: reference"), aligned(lora)
    assert "reference" not in given.inputs and given.key == without.key
