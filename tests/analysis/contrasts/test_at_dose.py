"""Contrasts of numbers read at a dose: whose stage they are, and that the dose itself has none."""

from dataclasses import replace

from analysis.contrasts.cells import Pair
from analysis.contrasts.contrast import Contrast
from analysis.contrasts.contrasted import HELD_EQUAL, contrasted
from analysis.contrasts.families import _stage
from analysis.measurement import Measurement

STAGES = {"b": ["before"], "m1": ["rates"], "m2": ["rates"], "d1": ["doses"], "d2": ["doses"]}
NUMBER = Measurement(metric="toxic_mass", definition="v1: test", value=0.5, low=0.5, high=0.5)


def pair(key):
    row = {None: replace(NUMBER, key=key).as_row()}
    contrast = Contrast(axis="objective", first="dpo", second="sft")
    return Pair(contrast=contrast, first=row, second=row)


def test_the_stage_is_the_one_that_measured_the_number_and_not_its_dose_or_the_base():
    assert _stage(pair("b m1 m2 d1 d2"), STAGES) == "rates"
    assert _stage(pair("m1 m2 d1 d2"), STAGES) == "rates"


def test_a_job_of_two_stages_is_of_the_first_by_name():
    assert _stage(pair("m1"), {"m1": ["rates", "again"]}) == "again"


def test_the_dose_itself_is_said_to_be_held_equal_and_no_artifact_to_be_old():
    assert contrasted([pair("m1 d1")], {}).refusals[0][1] == HELD_EQUAL
    assert "earlier version" in contrasted([pair("m1")], {}).refusals[0][1]
