import jsonschema
import pytest
import yaml

from cluster.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.study.schema import schema
from orchestrator.study.study import parse_study
from orchestrator.study.template import study_template


def test_a_new_study_plans_without_a_note():
    plan = make_plan(parse_study(study_template("my-study", "my-study.yaml")))
    assert plan.study.name == "my-study"
    assert plan.notes == ()
    assert len(plan.by_key) == len(plan.jobs)


def test_a_new_study_fits_the_published_schema():
    jsonschema.validate(yaml.safe_load(study_template("s", "s.yaml")), schema())


def test_a_second_seed_stands_on_one_rung_only():
    aligned = make_plan(parse_study(study_template("s", "s.yaml"))).stages["aligned"]
    assert {job.cell["model"] for job in aligned if job.cell["seed"] == "1"} == {"gpt2-0.1m"}


def test_the_table_gathers_every_measurement_and_its_key_holds_their_cells():
    plan = make_plan(parse_study(study_template("s", "s.yaml")))
    (table,) = plan.stages["table"]
    assert {name: len(refs) for name, refs in table.inputs.items()} == {
        stage: len(plan.stages[stage]) for stage in ("geometry", "rates", "rates-before")
    }
    assert table.identity["inputs"]["rates-before"][0]["cell"] == {
        "model": "gpt2-36k", "condition": "plain",
    }  # fmt: skip


def test_an_objective_without_reference_does_not_wait_for_it():
    plan = make_plan(parse_study(study_template("s", "s.yaml")))
    inputs = {job.cell["objective"]: set(job.inputs) for job in plan.stages["aligned"]}
    assert inputs == {"dpo": {"model", "pairs", "reference"}, "sft": {"model", "pairs"}}


def test_an_objective_with_reference_must_be_given_it():
    text = study_template("s", "s.yaml").replace(", reference: reference", "")
    with pytest.raises(UserError) as caught:
        make_plan(parse_study(text))
    assert "needs the input 'reference'" in caught.value.error
    assert "reference" in caught.value.hint


def test_a_name_that_would_escape_the_root_is_refused():
    with pytest.raises(UserError):
        study_template("../s", "s.yaml")
