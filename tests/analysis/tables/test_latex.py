"""LaTeX that compiles, whatever stands in a table's texts; a real TeX says so where one is."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.measurement import Measurement
from analysis.tables.comparison_table import compare
from analysis.tables.control_columns import side_by_side
from analysis.tables.layout import TableLayout
from analysis.tables.scaling_table import scaling_table
from analysis.tables.table import Cell, Table, annotate
from analysis.tables.writers.latex import escape, render

OUTSIDE_ASCII = (0xE9, 0xF1, 0xE7, 0x141, 0x2016, 0xB1, 0xD7, 0x2014, 0x2264, 0x4E2D, 0x1F600)
WORST = "\\ { } _ % & # $ ~ ^ < > | [x] * ** -- --- `` '' \" ? ! @ \t\n\x00 "
WORST += " ".join(map(chr, OUTSIDE_ASCII))
ACTIVE = re.compile(r"(?<!\\)[_%&#$~^]|\\(?!text|[{}_%&#$`'^~\"c]|delta|pm|times|ldots)")


def number(**told):
    return Cell(number=Measurement(metric="m", definition="", **told))


def nasty(texts):
    cells = tuple(number(value=1.0, low=0.5, high=2.5, reason=text) for text in texts)
    return annotate(
        Table(
            title=texts[0],
            row_levels=(texts[0], "model"),
            rows=tuple((text, text) for text in texts),
            column_levels=("metric", texts[0]),
            columns=tuple((text, f"{i} {text}") for i, text in enumerate(texts)),
            cells=(cells,) * len(texts),
            caption=" ".join(texts),
        )
    )


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_no_text_reaches_latex_with_a_meaning_of_its_own(text):
    escaped = escape(text)
    assert escaped.isascii() and escaped.isprintable()
    bare = re.sub(r"\$(-|\\[a-zA-Z]+)\$", "", escaped)
    assert not ACTIVE.search(bare), escaped
    bare = re.sub(r"\\[{}]", "", bare)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert 0 <= depth <= 1, escaped
    assert depth == 0
    assert not re.search(r"(^|[^{])[\[*]", bare), "a row may begin with it"


@given(st.text(st.characters(codec="ascii", categories=["L", "N"])))
def test_letters_and_digits_stay_as_they_are(text):
    assert escape(text) == text


@pytest.mark.latex
def test_a_real_tex_sets_every_table_without_a_complaint(study, tmp_path):
    document = (
        b"\\documentclass{article}\\usepackage{booktabs,threeparttable}\n"
        b"\\extrafloats{100}\\begin{document}\n"
        + render(nasty([WORST, "[first]", "*", "a_b"]))
        + render(compare(study, layout=TableLayout(controls=True), references=("lee2024",)))
        + render(side_by_side(compare(study)))
        + render(scaling_table(study))
        + render(compare([]))
        + b"\\end{document}\n"
    )
    (tmp_path / "tables.tex").write_bytes(document)
    words = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "tables.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000


def test_what_all_rows_share_of_a_long_header_is_said_in_the_caption():
    def set_in_latex(levels, rows):
        cells = tuple((number(value=1.0, low=0.5, high=1.5),) for _ in rows)
        table = Table(
            title="Contrasts",
            row_levels=levels,
            rows=rows,
            column_levels=("",),
            columns=(("difference",),),
            cells=cells,
            caption="By t.",
        )
        text = render(table).decode()
        return text, re.findall(r"begin{tabular}{(l+)r}", text)

    levels = ("metric", "contrast", "model", "place", "stage")
    rows = (("norm", "dpo - sft", "small", "", "geometry"), ("norm", "dpo - sft", "big", "", "b"))
    text, columns = set_in_latex(levels, rows)
    assert r"\caption{Contrasts, metric norm, contrast dpo - sft. By t.}" in text
    assert columns == ["ll"] and "small & geometry & 1.0" in text and "big & b & 1.0" in text
    text, columns = set_in_latex(levels[:4], tuple(row[:4] for row in rows))
    assert columns == ["llll"] and r"\caption{Contrasts. By t.}" in text
    text, columns = set_in_latex(levels, rows[:1])  # something names the row
    assert columns == ["lllll"]
