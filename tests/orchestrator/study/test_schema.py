import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from jobs.kind import KINDS
from orchestrator.cli import main
from orchestrator.study.schema import schema

STUDIES = sorted((Path(__file__).parents[3] / "studies").glob("*.yaml"))
CHECK = jsonschema.Draft202012Validator(schema())


def faults(stage: dict, **study) -> list[str]:
    document = {"study": "s", "axes": {"a": [1]}, "stages": {"x": stage}, **study}
    return [error.message for error in CHECK.iter_errors(document)]


def test_the_schema_is_a_schema_and_knows_every_kind():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$defs"]["StageFields"]["properties"]["kind"]["enum"] == KINDS.names()


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_fits(path):
    CHECK.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "stage",
    [
        {"kind": "probe"},
        {"kind": "probe", "over": "a", "params": {"index": "${a}", "seconds": 0.5}},
        {"kind": "probe", "inputs": {"after": {"stage": "y", "where": {"a": 1}}}},
        {"kind": "probe", "where": [{"a": [1, 2]}, {"a": 3}]},
        {"kind": "compare", "gather": "x", "per": []},
    ],
)
def test_what_the_language_allows_fits(stage):
    assert faults(stage) == []


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"kind": "prob"}, "'prob' is not one of"),
        ({}, "'kind' is a required property"),
        ({"kind": "probe", "prams": {}}, "'prams' was unexpected"),
        ({"kind": "probe", "params": {"indx": 1}}, "'indx' was unexpected"),
        ({"kind": "probe", "params": {"index": "many"}}, "is not valid under any"),
        ({"kind": "probe", "inputs": {"aftr": "x"}}, "'aftr' is not one of"),
        ({"kind": "probe", "gather": ["x"]}, "['x']"),
        ({"kind": "pretrain"}, "'params' is a required property"),
        ({"kind": "pretrain", "params": {"steps": 1}}, "'config' is a required property"),
        ({"kind": "reference"}, "'inputs' is a required property"),
        ({"kind": "reference", "inputs": {"model": "x"}}, "'pairs' is a required property"),
        ({"kind": "compare"}, "'gather' is a required property"),
        ({"kind": "compare", "gather": ["x"], "inputs": {"a": "x"}}, "{'a': 'x'}"),
    ],
)
def test_what_it_does_not_allow_does_not_fit(stage, said):
    assert any(said in fault for fault in faults(stage))


@pytest.mark.parametrize("axes", [{"a": []}, {"a": 1}, {"a": [{"size": 1}]}, {"a": [None]}])
def test_an_axis_has_values_and_a_mapping_has_a_name(axes):
    assert faults({"kind": "probe"}, axes=axes)


@pytest.mark.parametrize("name", ["study", "table", "measurements"])
def test_the_verb_prints_each_schema_that_is_published(name, capsys):
    assert main(["schema", "--of", name]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


def test_only_stages_that_leave_something_large_may_let_it_go():
    assert not faults({"kind": "probe", "keep": "until-read"})
    assert not faults({"kind": "pairs", "keep": "always", "params": {"format": "f", "source": "s"}})
    assert faults({"kind": "pairs", "keep": "until-read", "params": {"format": "f", "source": "s"}})
