"""One screen: verdicts, caveats that all of them have, and the first block of the table."""

import io

import pytest
from rich.console import Console

from analysis.answering.answer import StudyAnswer, Verdict
from analysis.measurement import Measurement
from analysis.tables.table import Cell, Table, annotate
from jobs.comparing.summary import summary


def _answer(verdict: Verdict, text: str, *caveats: str) -> StudyAnswer:
    return StudyAnswer(
        name="q", question=f"Is it {verdict}?", verdict=verdict, summary=text, caveats=caveats
    )


def _table(*metrics: str) -> Table:
    reasons = {"second": "only the second says this"}
    cells = tuple(
        Cell(number=Measurement(metric=m, definition="", value=0.5, reason=reasons.get(m)))
        for m in metrics
    )
    return annotate(
        Table(
            title="A ladder",
            row_levels=("model",),
            rows=(("m",),),
            column_levels=("metric", "objective"),
            columns=tuple((m, "dpo") for m in metrics),
            cells=(cells,),
            caption="Intervals are 95 %.",
        )
    )


def _printed(answers: list[StudyAnswer], table: Table, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(summary(answers, table, width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 100])
def test_long_summaries_are_cut_and_only_shared_caveats_stand_there(width):
    answers = [
        _answer(Verdict.YES, "word " * 200, "One seed.", "Its own."),
        _answer(Verdict.NO, "Not at all.", "One seed."),
        _answer(Verdict.NOT_MEASURED, "Nothing here.", "Other."),
    ]
    lines = _printed(answers, _table("first"), width)
    assert "Is it yes? YES" in lines and "NOT MEASURED: Is it not measured?" in lines
    assert sum(line.startswith("  word") for line in lines) == 2
    assert any(line.rstrip().endswith("…") for line in lines)
    assert [line for line in lines if line.startswith("!")] == ["! One seed."]
    assert all(len(line) <= width for line in lines)


def test_questions_that_were_not_measured_take_one_line_together():
    answers = [_answer(Verdict.NOT_MEASURED, "Nothing here.") for _ in range(6)]
    lines = [line for line in _printed(answers, _table("first"), 60) if "MEASURED" in line]
    assert len(lines) == 1 and len(lines[0]) <= 60 and lines[0].rstrip().endswith("…")


def test_one_block_of_the_table_with_its_own_footnotes_stands_there():
    text = "\n".join(_printed([], _table("first", "second"), 24))
    assert "first" in text and "second" not in text
    assert "Intervals are 95 %." in text


def test_a_table_without_numbers_says_so():
    assert "No measurements." in "\n".join(_printed([], _table(), 80))
