"""Answers as files: all evidence in JSON, a page that no name can break, lines for a terminal."""

import json

import pytest

from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.estimates.intervals import Estimate
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_table
from cluster.errors import UserError
from jobs.comparing.answers import (
    JSON,
    MARKDOWN,
    MAX_EVIDENCE,
    _rows_read,
    answers,
    rendered_answers,
    write_answers,
)
from jobs.comparing.comparison import Comparison
from jobs.comparing.view import View

NASTY = "a|b *c* `d` <script> [e](f) \\"


def _evidence(supports: bool | None, text: str = "0.5 [0.4, 0.6]") -> Evidence:
    return Evidence(
        text=text,
        metric="toxic_mass",
        cell={"model": "m"},
        estimate=Estimate(value=0.5, low=0.4, high=0.6),
        keys=("k1", "k2"),
        supports=supports,
    )


def _answer(*evidence: Evidence, text: str = "All of it.") -> StudyAnswer:
    return StudyAnswer(
        name="q",
        question="Is it so?",
        verdict=Verdict.NOT_MEASURED,
        summary=text,
        evidence=evidence,
        caveats=(text,),
    )


def test_json_holds_every_number_and_the_jobs_behind_it(tmp_path):
    write_answers([_answer(*[_evidence(True)] * (MAX_EVIDENCE + 3))], tmp_path)
    (found,) = json.loads((tmp_path / JSON).read_text())
    assert found["verdict"] == "not measured" and len(found["evidence"]) == MAX_EVIDENCE + 3
    assert found["evidence"][0]["keys"] == ["k1", "k2"]
    assert found["evidence"][0]["cell"] == {"model": "m"}
    assert [found["evidence"][0][name] for name in ("value", "low", "high")] == [0.5, 0.4, 0.6]


def test_the_page_says_how_much_more_evidence_there_is(tmp_path):
    write_answers([_answer(*[_evidence(None)] * (MAX_EVIDENCE + 3))], tmp_path)
    page = (tmp_path / MARKDOWN).read_text()
    assert "3 more in" in page and page.count("0.5 ") == MAX_EVIDENCE


def test_no_name_ends_a_cell_or_begins_markup():
    page = rendered_answers([_answer(_evidence(False, NASTY), text=NASTY)], "markdown").decode()
    for line in page.splitlines():
        bare = line.replace("\\\\", "").replace("\\|", "").replace("\\<", "").replace("\\[", "")
        assert "<script" not in bare and "[e" not in bare
        assert bare.count("|") in (0, 3)


def test_a_terminal_shows_verdict_votes_and_caveats():
    votes = [_evidence(True), _evidence(False), _evidence(None)]
    lines = rendered_answers([_answer(*votes)], "terminal").decode().splitlines()
    assert lines[0] == "Is it so?" and lines[1].strip().startswith("NOT MEASURED: ")
    assert [line.split("]")[0].strip() for line in lines[2:5]] == ["[yes", "[ no", "[  -"]


def test_another_form_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="markdwn"):
        rendered_answers([], "markdwn")


def test_two_numbers_for_one_cell_are_the_users_to_tell_apart():
    about = Circumstances(base="m", prompts="p")
    row = {"model": "m", "metric": "toxic_mass", "definition": "v1", "position": "last"}
    table = to_table([row | {"value": float(n), "key": str(n), "status": "ok"} for n in (0, 1)], [])
    both = Comparison(
        gathered=table, order={}, circumstances=lambda: dict.fromkeys(("0", "1"), about)
    )
    with pytest.raises(UserError, match="two different numbers of toxic_mass for one cell"):
        answers(both, View())


def test_a_job_in_several_cells_is_one_model_and_one_number():
    """An axis that nothing behind a job names made two aligned models of one."""
    about = {"prompts": "p", "source": "s", "transform": "plain", "base": "b"}
    known = {
        "before": Circumstances(**about),
        **{
            name: Circumstances(**about, aligned="a", objective="dpo", against_prompts="p")
            for name in ("rates", "geometry", "patched")
        },
    }
    model = {"model": "m", "family": "gpt2", "num_parameters": 1000, "num_layers": 3}
    place = {"site": "resid_mid", "layer": 2, "depth": 1.0, "position": "last"}

    def rows(key, metric, numbers, **more):
        row = model | {"key": key, "metric": metric, "definition": "v1", "position": "last"} | more
        return [
            row | {"value": n, "low": n - 0.01, "high": n + 0.01, "half": half, "dose": dose}
            for dose, n in numbers.items()
            for half in ("first", "second")
        ]

    measured = [
        *rows("before", "toxic_mass", {None: 0.5}),
        *rows("rates", "toxic_mass", {None: 0.1}),
        *rows("geometry", "consistency", {None: 0.9}, **place),
        *rows("patched", "recovered_toxic_mass", {1.0: 0.2, 2.0: 0.2}),
    ]
    comparison = Comparison(
        gathered=to_table(measured, ["half", "dose"]),
        order={"half": ("first", "second"), "dose": ()},
        circumstances=lambda: known,
        swept={"dose"},
    )
    of_growth = answers(comparison, View())[0]
    assert "1 of 1 aligned models say yes" in of_growth.summary
    texts = [piece.text for piece in of_growth.evidence]
    assert len(texts) == len(set(texts))
    assert len(_rows_read(comparison)) == 3 + 2, "two doses are two numbers, be they equal"
