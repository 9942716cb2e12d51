"""What is left of the first turn at the last one."""

from typing import Any

import pytest

from analysis.answering.answer import Verdict

NAME = "over_dialogue_turns"


def _turns(study: Any, *projections: float) -> None:
    for turn, value in enumerate(projections, 1):
        place = {"site": "resid_mid", "layer": 3, "position": f"turn-{turn}"}
        study.add("turn_drift", value, model="a", condition="turns", **place)


def test_the_last_turn_decides(study: Any) -> None:
    _turns(study, 1.0, 0.2, 0.9)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert answer.evidence[0].cell["condition"] == "turns"
    assert answer.evidence[0].estimate.value == 0.9


@pytest.mark.parametrize(
    ("last", "verdict"), [(0.3, Verdict.NO), (0.5, Verdict.UNDECIDED), (-0.7, Verdict.NO)]
)
def test_an_offset_that_fades_or_reverses_does_not_persist(
    study: Any, last: float, verdict: Verdict
) -> None:
    _turns(study, 1.0, last)
    assert study.answer(NAME).verdict is verdict


def test_behaviour_that_comes_back_makes_a_persisting_offset_mixed(study: Any) -> None:
    _turns(study, 1.0, 0.9)
    for turn, mass in ((1, 0.05), (2, 0.45)):
        place = {"condition": "turns", "position": f"turn-{turn}"}
        study.add("toxic_mass", 0.5, model="a", objective=None, **place)
        study.add("toxic_mass", mass, model="a", **place)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.MIXED
    assert [each.supports for each in answer.evidence] == [True, False]


def test_a_last_turn_below_the_noise_floor_is_not_spoken_for_by_the_one_before(study: Any) -> None:
    _turns(study, 1.0, 0.9, 0.01)
    study.rows[-1] |= {"status": "below_noise_floor", "reason": "offset_norm of the base is 0.1"}
    assert study.answer(NAME).verdict is Verdict.UNDECIDED


def test_a_base_that_is_less_toxic_at_later_turns_loses_the_same_share(study: Any) -> None:
    _turns(study, 1.0, 0.9)
    for turn, base, mass in ((1, 0.5, 0.05), (2, 0.2, 0.02)):
        place = {"condition": "turns", "position": f"turn-{turn}", "half": 0.005}
        study.add("toxic_mass", base, model="a", objective=None, **place)
        study.add("toxic_mass", mass, model="a", **place)
    assert study.answer(NAME).verdict is Verdict.YES


def test_a_rate_that_has_both_turns_goes_before_a_mass_that_has_one(study: Any) -> None:
    _turns(study, 1.0, 0.9)
    for turn in (1, 2):
        place = {"condition": "turns", "position": f"turn-{turn}"}
        for metric in ("toxic_rate", "toxic_mass")[: 3 - turn]:
            study.add(metric, 0.5, model="a", objective=None, **place)
        study.add("toxic_rate", 0.05, model="a", **place)
        study.add("toxic_mass", 0.45, model="a", **place)
    pieces = study.answer(NAME).evidence
    assert [(p.metric, p.supports) for p in pieces if p.metric.startswith("toxic")] == [
        ("toxic_rate", True)
    ]


@pytest.mark.parametrize("reach", [12, 40])
def test_dialogues_that_end_before_the_last_turn_are_told(study: Any, reach: int) -> None:
    for turn, rows in ((1, 40), (2, reach)):
        place = {"condition": "turns", "position": f"turn-{turn}", "num_rows": rows}
        study.add("toxic_mass", 0.5, model="a", objective=None, **place)
        study.add("toxic_mass", 0.05, model="a", **place)
    told = [caveat for caveat in study.answer(NAME).caveats if "reach turn 2" in caveat]
    assert [text.partition(";")[0] for text in told] == (
        ["a: 12 of 40 dialogues reach turn 2"] if reach == 12 else []
    )


def test_one_turn_measures_no_persistence(study: Any) -> None:
    _turns(study, 1.0)
    assert study.answer(NAME).verdict is Verdict.NOT_MEASURED
