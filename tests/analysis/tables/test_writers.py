import csv
import io
import json
import re

import jsonschema
import pyarrow.parquet as pq
import pytest

from analysis.measurement import Measurement
from analysis.tables.comparison_table import compare
from analysis.tables.layout import TableLayout
from analysis.tables.scaling_table import scaling_table
from analysis.tables.table import Cell, Table, annotate
from analysis.tables.writer import WRITERS
from analysis.tables.writers.latex import escape
from analysis.tables.writers.markdown import escape as escape_markdown
from jobs.comparing.json_schemas import table_schema

NASTY = r"a_b 50% & #1 $x$ {y} ~z ^2 \n"


@pytest.fixture(scope="module")
def table(study):
    return compare(study, layout=TableLayout(order={"condition": ["plain", "rot13", "base64"]}))


def small(*cells, name="metric"):
    return annotate(
        Table(
            title="t",
            row_levels=("model",),
            rows=(("m",),),
            column_levels=("metric", "objective"),
            columns=tuple((name, f"o{i}") for i in range(len(cells))),
            cells=(cells,),
            caption="c",
        )
    )


def number(**told):
    return Cell(number=Measurement(metric="m", definition="", **told))


MISSING = number(status="job_failed", reason="killed")


def test_there_is_a_writer_for_every_format_promised():
    assert WRITERS.names() == ["csv", "json", "latex", "markdown", "parquet", "terminal"]
    with pytest.raises(ValueError, match="no table format 'latx'.*did you mean 'latex'"):
        WRITERS.find("latx")


@pytest.mark.parametrize("name", ["csv", "json", "latex", "markdown", "parquet", "terminal"])
def test_every_writer_renders_the_same_bytes_twice_and_the_empty_table(name, table, study):
    found = WRITERS.find(name)
    assert found.SUFFIX.startswith(".")
    assert found.render(table) == found.render(table) != b""
    assert found.render(scaling_table(study))
    assert found.render(compare([]))


@pytest.mark.parametrize("name", ["latex", "markdown", "terminal"])
def test_a_missing_number_is_a_dash_with_a_footnote_and_zero_is_zero(name):
    text = WRITERS.find(name).render(small(number(value=0.0), MISSING)).decode()
    mark = {"latex": r"---\tnote{a}", "markdown": "—<sup>a</sup>", "terminal": "— [a]"}[name]
    assert mark in text
    note = {
        "latex": r"\item[a] job\_failed: killed",
        "markdown": "<sup>a</sup> job\\_failed: killed",
    }
    assert note.get(name, "[a] job_failed: killed") in text
    assert len(re.findall(r"(?<![\w.])0(?![\w.])", text)) == 1


def test_latex_escapes_every_special_character():
    """Lesson 53: escape LaTeX yourself."""
    assert escape(NASTY) == (
        r"a\_b 50\% \& \#1 \$x\$ \{y\} \textasciitilde{}z \textasciicircum{}2 \textbackslash{}n"
    )
    text = (
        WRITERS.find("latex")
        .render(small(MISSING, number(value=1.0, reason=NASTY), name=NASTY))
        .decode()
    )
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.isascii()
    assert NASTY not in text


def test_latex_rows_have_as_many_entries_as_the_table_has_columns(table):
    text = WRITERS.find("latex").render(table).decode()
    for block in text.split(r"\begin{tabular}")[1:]:
        width = len(re.match(r"\{([lr]+)\}", block)[1])
        body = block.split(r"\bottomrule")[0]
        for line in body.splitlines():
            if line.endswith(r"\\"):
                spans = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                assert len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) == width
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") > 1


def test_every_latex_block_explains_the_marks_it_uses(table):
    for block in WRITERS.find("latex").render(table).decode().split(r"\begin{table*}")[1:]:
        assert set(re.findall(r"\\tnote\{(\w+)\}", block)) == set(
            re.findall(r"\\item\[(\w+)\]", block)
        )


def test_markdown_rows_have_as_many_entries_as_their_header(table):
    lines = WRITERS.find("markdown").render(table).decode().splitlines()
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    for before, line, width in zip(widths, lines[1:], widths[1:], strict=False):
        assert not line.startswith("| ") or before in (0, width)
    assert escape_markdown("a_b|c*\nd") == r"a\_b\|c\* d"


def test_the_terminal_fits_two_hundred_columns_in_one_block_per_metric(table):
    lines = WRITERS.find("terminal").render(table).decode().splitlines()
    assert max(map(len, lines)) <= 200
    metrics = dict.fromkeys(header[0] for header in table.columns)
    assert [line for line in lines if line in metrics] == list(metrics)
    assert not any("…" in line for line in lines)


def test_a_narrow_terminal_gets_narrower_blocks_and_no_cut_numbers(table):
    from rich.console import Console

    from analysis.tables.writers.terminal import renderable

    out = io.StringIO()
    Console(file=out, width=90).print(renderable(table, 90))
    assert max(map(len, out.getvalue().splitlines())) <= 90
    assert "…" not in out.getvalue()
    for text in (cell.text for line in table.cells for cell in line):
        assert text in out.getvalue()


def test_csv_has_full_precision_and_intervals_in_their_own_columns(table):
    lines = list(csv.DictReader(io.StringIO(WRITERS.find("csv").render(table).decode())))
    assert [line["model"] for line in lines] == [side[1] for side in table.rows]
    column = table.columns.index(("offset_norm", "rot13", "sft"))
    for line, cells in zip(lines, table.cells, strict=True):
        assert float(line["offset_norm/rot13/sft"]) == cells[column].number.value
        assert float(line["offset_norm/rot13/sft_low"]) == cells[column].number.low
    failed = next(line for line in lines if line["model"] == "llama-130k")
    assert failed["offset_norm/plain/dpo"] == failed["offset_norm/plain/dpo_low"] == ""
    assert failed["offset_norm/plain/dpo_status"] == "job_failed"


def test_json_holds_every_cell_with_its_reason(table):
    document = json.loads(WRITERS.find("json").render(table))
    assert len(document["cells"]) == len(document["rows"]) == 6
    flat = [cell for line in document["cells"] for cell in line]
    assert all(cell["value"] is not None or cell["reason"] for cell in flat)
    assert {cell["footnote"] for cell in flat if cell["footnote"]} == set(document["footnotes"])


def test_parquet_has_one_line_per_cell(table):
    long = pq.read_table(io.BytesIO(WRITERS.find("parquet").render(table)))
    assert long.num_rows == len(table.rows) * len(table.columns)
    assert long["value"].to_pylist() == [cell.number.value for line in table.cells for cell in line]
    assert long.column_names[:6] == [*table.row_levels, *table.column_levels]


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_a_terminal_folds_long_names_and_never_a_number(width):
    """Half of `0.0433 ± 0.0018` would be another number."""
    measured = number(value=-0.02716, low=-0.02771, high=-0.02661, num_seeds=2, reason="r")
    long = Table(
        title="t",
        row_levels=("model", "condition", "parameters"),
        rows=(("a-model-" * 12, "c" * 100, "0.011 M"), ("b", "plain", "0.020 M")),
        column_levels=("metric",),
        columns=(("m",), ("n",)),
        cells=((measured, measured), (measured, MISSING)),
    )
    text = WRITERS.find("terminal").render(annotate(long), width).decode()
    assert text.count("-0.02716 ± 0.00055 (2) [a]") == 3
    assert "…" not in text
    kept = "".join(re.sub(r"[^-abcdelmo]", "", line) for line in text.splitlines())
    assert kept.count("c") >= 100, "names fold, and are cut no more than numbers are"
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width


def rows_of_betas():
    """Rows of the base and of two values of an axis of numbers."""
    model = {
        "model": "m",
        "family": "gpt2",
        "num_parameters": 1,
        "metric": "toxic_mass",
        "key": "k",
    }
    return [
        model | {"value": value, "beta": beta, "objective": objective}
        for value, beta, objective in ((0.5, None, None), (0.1, 0.1, "dpo"), (0.2, 10.0, "dpo"))
    ]


def test_an_axis_of_numbers_is_one_for_programs_across_as_it_is_down():
    across = compare(rows_of_betas(), layout=TableLayout(columns=("beta", "objective")))
    assert across.columns[0] == ("toxic_mass", "none", "base")
    found = pq.read_table(io.BytesIO(WRITERS.find("parquet").render(across)))
    assert str(found.schema.field("beta").type) == "double"
    by_beta = {row["beta"]: (row["value"], row["objective"]) for row in found.to_pylist()}
    assert by_beta == {None: (0.5, "base"), 0.1: (0.1, "dpo"), 10.0: (0.2, "dpo")}
    document = json.loads(WRITERS.find("json").render(across))
    assert document["columns"][1:] == [["toxic_mass", "0.1", "dpo"], ["toxic_mass", "10", "dpo"]]
    assert document["column_values"] == [
        ["toxic_mass", None, "base"], ["toxic_mass", 0.1, "dpo"], ["toxic_mass", 10.0, "dpo"],
    ]  # fmt: skip
    jsonschema.Draft202012Validator(table_schema()).validate(document)


def test_what_has_no_value_of_an_axis_is_named_down_as_it_is_across():
    """A blank is what stands where the row above is repeated."""
    down = compare(rows_of_betas(), layout=TableLayout(rows=("beta", "objective", "model")))
    assert down.rows[0][:2] == ("none", "base")
    assert down.typed_rows[0][:2] == (None, None)
    beside = compare(rows_of_betas(), layout=TableLayout(rows=("beta",)))
    assert beside.row_levels == ("beta", "objective")
    assert [row[1] for row in beside.rows] == ["base", "dpo", "dpo"]
    for name in ("markdown", "latex", "terminal"):
        assert "base" in WRITERS.find(name).render(down).decode()
