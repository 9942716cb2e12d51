"""What is written as JSON keeps to the schema that is published."""

import json

import jsonschema
import pytest

from analysis.long_table.columns import to_table
from analysis.tables.comparison_table import compare
from analysis.tables.layout import TableLayout
from analysis.tables.scaling_table import scaling_table
from analysis.tables.writers import json as json_writer
from jobs.comparing.json_schemas import measurements_schema, table_schema

TABLE = jsonschema.Draft202012Validator(table_schema())
ROWS = jsonschema.Draft202012Validator(measurements_schema())


def test_both_are_schemas():
    for schema in (table_schema(), measurements_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_table_keeps_to_it(study):
    for table in (
        compare(study, layout=TableLayout(controls=True), references=["lee2024"]),
        scaling_table(study),
        compare([]),
    ):
        TABLE.validate(json.loads(json_writer.render(table)))


def test_the_long_table_keeps_to_it(study):
    ROWS.validate(to_table(study, ["condition", "objective", "seed"]).to_pylist())


@pytest.mark.parametrize(
    ("where", "broken"),
    [
        ("value", "0.5"),
        ("status", "lost"),
        ("keys", "abc"),
        ("surprise", 1),
    ],
)
def test_a_cell_of_another_shape_does_not(study, where, broken):
    document = json.loads(json_writer.render(compare(study)))
    document["cells"][0][0][where] = broken
    assert list(TABLE.iter_errors(document))


def test_an_empty_cell_without_a_reason_does_not(study):
    document = json.loads(json_writer.render(compare(study)))
    document["cells"][0][0] |= {"value": None, "reason": None}
    assert list(TABLE.iter_errors(document))
