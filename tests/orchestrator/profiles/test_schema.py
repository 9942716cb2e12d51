"""The JSON Schema of profiles: published as the code has it, and of one mind with the reader."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator.cli import main
from orchestrator.profiles.kind import PROFILE_KINDS
from orchestrator.profiles.schema import schema
from tests.orchestrator.profiles.test_profile_file import BAD, GOOD

PUBLISHED = Path(__file__).parents[3] / "docs/reference/profile.schema.json"
CHECK = jsonschema.Draft202012Validator(schema())


def test_the_published_schema_is_that_of_the_code(capsys):
    jsonschema.Draft202012Validator.check_schema(schema())
    again = "deltascale schema --of profile > docs/reference/profile.schema.json"
    assert json.loads(PUBLISHED.read_text()) == schema(), f"write it again: {again}"
    assert main(["schema", "--of", "profile"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


@pytest.mark.parametrize("name", PROFILE_KINDS.names())
def test_a_new_profile_of_every_kind_fits(name):
    CHECK.validate(yaml.safe_load(PROFILE_KINDS.find(name).TEMPLATE))


def test_a_whole_profile_fits():
    CHECK.validate(yaml.safe_load(GOOD))


@pytest.mark.parametrize(
    "name",
    ["no kind", "unknown kind", "unknown field", "memory without unit", "memory in G", "no cores"]
    + ["node's field", "price with currency", "price below nothing", "variable is a number"]
    + ["venv of this machine", "limits of another kind"],
)
def test_an_editor_sees_what_the_reader_refuses(name):
    assert list(CHECK.iter_errors(yaml.safe_load(BAD[name][0])))
