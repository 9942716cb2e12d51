"""Which comparison's answers a page tells."""

import pytest

from analysis.answering.answer import StudyAnswer, Verdict
from jobs.comparing.reporting.contents import Section, answering


@pytest.fixture
def section():
    """A function: verdicts -> a section with an answer of each."""

    def make(*verdicts):
        answers = [
            StudyAnswer(name="one", question="Is it so?", verdict=verdict, summary="So it is.")
            for verdict in verdicts
        ]
        return Section(name="table", tables=[], figures=[], answers=answers)

    return make


def test_a_comparison_that_answers_nothing_is_silent_beside_one_that_does(section):
    speaking, silent = section(Verdict.NOT_MEASURED, Verdict.NO), section(Verdict.NOT_MEASURED)
    assert [len(each.answers) for each in answering([speaking, silent])] == [2, 0]


def test_where_none_answers_each_says_that_nothing_was_measured(section):
    silent = section(Verdict.NOT_MEASURED)
    assert answering([silent, silent]) == [silent, silent]
