"""What a number is held against stands beside it, in every format."""

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from analysis.tables.comparison_table import compare
from analysis.tables.control_columns import PARTS, side_by_side
from analysis.tables.layout import TableLayout
from analysis.tables.writer import WRITERS


def row(**over):
    fixed = {"model": "m", "family": "gpt2", "num_parameters": 1000, "metric": "cka"}
    bands = {"floor": 0.01, "null_low": -0.1, "null_high": 0.1}
    numbers = {"value": 0.5, "low": 0.4, "high": 0.6}
    return fixed | numbers | bands | {"objective": "dpo", "key": "k"} | over


@pytest.fixture(scope="module")
def table():
    rows = [
        row(),
        row(model="n", num_parameters=2000, floor=None),
        row(model="o", num_parameters=3000, status="job_failed", reason="killed")
        | dict.fromkeys(("value", "low", "high", "floor", "null_low", "null_high")),
        row(metric="toxic_mass", floor=None, null_low=None, null_high=None),
    ]
    return compare(rows, layout=TableLayout(controls=True))


def test_each_number_stands_beside_the_controls_it_has(table):
    wide = side_by_side(table)
    assert [h for h in wide.columns if h[0] == "cka"] == [("cka", part) for part in list(PARTS)[:4]]
    assert [h[-1] for h in wide.columns if h[0] == "toxic_mass"] == ["value", "95 % interval"]
    own = dict(zip(wide.columns, wide.cells[0], strict=True))
    assert own["cka", "value"].text == "0.500"
    assert own["cka", "95 % interval"].text == "[0.400, 0.600]"
    assert own["cka", "noise floor"].text == "0.0100"
    assert own["cka", "random band"].text == "[-0.100, 0.100]"


def test_no_rounding_hides_a_narrow_interval():
    """To three digits the value was 0.998, and so were both ends of its interval."""
    narrow = {"value": 0.99802, "low": 0.99781, "high": 0.99823, "floor": 0.99799}
    rows = [row(**narrow, seed=s, key=s, null_low=0.1, null_high=0.99811) for s in "01"]
    rows += [row(**narrow, model="n", num_parameters=2000, status="below_noise_floor", reason="r")]
    wide = side_by_side(compare(rows, layout=TableLayout(controls=True)))
    shown, quiet = ([cell.text for cell in line] for line in wide.cells)
    assert shown == ["0.9980 (2)", "[0.9978, 0.9982]", "0.9980", "[0.1000, 0.9981]"]
    assert quiet[0] == "—"


def test_no_part_is_empty_without_a_reason(table):
    wide = side_by_side(table)
    empty = [cell for line in wide.cells for cell in line if cell.text == "—"]
    assert empty and all(wide.footnotes[cell.mark] for cell in empty)
    lost = dict(zip(wide.columns, wide.cells[1], strict=True))["cka", "noise floor"]
    assert wide.footnotes[lost.mark] == "undefined: this number has no noise floor"
    failed = dict(zip(wide.columns, wide.cells[2], strict=True))["cka", "random band"]
    assert wide.footnotes[failed.mark] == "job_failed: killed"


@pytest.mark.parametrize("name", ["terminal", "markdown", "latex"])
def test_people_read_the_controls_in_every_format(table, name):
    text = WRITERS.find(name).render(table).decode().replace("{[}", "[").replace("{]}", "]")
    text = text.replace("\\[", "[").replace("\\]", "]")
    for part in ("[0.400, 0.600]", "0.0100", "[-0.100, 0.100]", "noise floor"):
        assert part in text


def test_programs_read_the_controls_in_every_format(table):
    (line, *_) = csv.DictReader(io.StringIO(WRITERS.find("csv").render(table).decode()))
    assert (line["cka_floor"], line["cka_null_low"], line["cka_null_high"]) == (
        "0.01",
        "-0.1",
        "0.1",
    )
    cell = json.loads(WRITERS.find("json").render(table))["cells"][0][-1]
    long = pq.read_table(io.BytesIO(WRITERS.find("parquet").render(table))).to_pylist()
    (same,) = (r for r in long if r["model"] == "m" and r["metric"] == "cka")
    assert cell["floor"] == same["floor"] == 0.01
    assert [cell[end] for end in ("null_low", "null_high")] == [-0.1, 0.1]
    assert same["null_high"] == 0.1


def test_the_controls_of_several_seeds_are_the_outermost():
    rows = [row(seed=0), row(seed=1, value=0.7, floor=-0.3, null_low=-0.2, null_high=0.05)]
    ((cell,),) = compare(rows).cells
    assert cell.number.num_seeds == 2
    assert (cell.number.floor, cell.number.null_low, cell.number.null_high) == (-0.3, -0.2, 0.1)
