"""A field of a measurement is declared once: everything that shows one follows from it."""

import json
import subprocess
import sys
from pathlib import Path

from analysis import measurement
from analysis.measurement import FIELDS, Measurement
from analysis.status import Status

FIELD = """
    twin: Annotated[
        float | None,
        Column(role=Role.CONTROL, about="the same of a twin", part="twin", in_tables=True),
    ] = None
    num_rows: Annotated["""

PROGRAM = """
import csv, io, json, sys, types
name = "analysis.measurement"
made = types.ModuleType(name)
sys.modules[name] = made
import analysis
analysis.measurement = made
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), made.__dict__)

from analysis.long_table.columns import to_table
from analysis.long_table.seeds import over_seeds
from analysis.tables.control_columns import laid_out
from analysis.tables.comparison_table import compare
from analysis.tables.layout import TableLayout
from analysis.tables.writer import WRITERS
from jobs.comparing.json_schemas import measurements_schema, table_schema
from jobs.comparing.named_cell import describe_row
from jobs.comparing.reporting.contents import Contents, Section
from jobs.comparing.reporting.embedding import embedded

one = made.Measurement(model="m", metric="cka", definition="v1", value=0.5, twin=0.25)
long = to_table([one.as_row()], [])
table = compare(long, layout=TableLayout(controls=True))
section = Section(name="s", tables=[table], figures=[])
page = embedded(Contents(study="s", jobs={}, sections=[section]))
(line,) = csv.DictReader(io.StringIO(WRITERS.find("csv").render(table).decode()))
cell = json.loads(WRITERS.find("json").render(table))["cells"][0][0]
print(json.dumps({
    "long": [long.column_names[long.column_names.index("num_rows") - 1], long["twin"][0].as_py()],
    "schema": "twin" in measurements_schema()["items"]["properties"],
    "cell schema": "twin" in table_schema()["properties"]["cells"]["items"]["items"]["properties"],
    "json": cell["twin"],
    "csv": line["cka_twin"],
    "page": [page["controls"][-1], page["tables"][0]["cells"][0][0]["twin"]],
    "beside": [header[-1] for header in laid_out(table).columns],
    "trace": "twin 0.25" in " ".join(describe_row(long.to_pylist()[0])),
    "seeds": over_seeds(long.to_pylist())[0]["twin"],
}))
"""


def test_a_field_added_to_the_declaration_reaches_every_table_schema_page_and_trace(tmp_path):
    source = Path(measurement.__file__).read_text()
    changed = tmp_path / "measurement.py"
    changed.write_text(source.replace("\n    num_rows: Annotated[", FIELD, 1))
    command = [sys.executable, "-c", PROGRAM, str(changed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "long": ["twin", 0.25],
        "schema": True,
        "cell schema": True,
        "json": 0.25,
        "csv": "0.25",
        "page": ["twin", 0.25],
        "beside": ["value", "twin"],
        "trace": True,
        "seeds": 0.25,
    }


def test_a_row_and_its_measurement_say_the_same():
    one = Measurement(
        metric="cka", definition="v1", value=0.5, status=Status.TOO_FEW_GROUPS, axes={"seed": 3}
    )
    row = one.as_row()
    assert list(row) == ["seed", *FIELDS] and row["status"] == "too_few_groups"
    assert Measurement.from_row(row) == one
    assert Measurement(metric="m", definition="", key="a b").keys == ("a", "b")


def test_every_field_says_what_it_is():
    assert all(declared.about for declared in FIELDS.values())
