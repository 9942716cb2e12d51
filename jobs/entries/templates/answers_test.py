"""Test of answer `my_entry`: nothing measured is said to be nothing measured."""

from pathlib import Path

from analysis.answering.answer import ANSWERS, Verdict
from analysis.answering.findings import Findings
from jobs.entries.own_entries import read_entries

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_without_measurements_there_is_no_verdict() -> None:
    with ENTRIES.bringing():
        answer = ANSWERS.find("my_entry").answer(Findings(all=(), place="nowhere"))
    assert answer.verdict is Verdict.NOT_MEASURED
    assert answer.question.endswith("?")
