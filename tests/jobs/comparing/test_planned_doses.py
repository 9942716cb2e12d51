"""A planned comparison at a dose is held against what its gathered stages measure."""

import pytest

from cluster.errors import UserError
from jobs.comparing.planned_doses import notes_on_doses
from jobs.comparing.view import View
from jobs.kind import Upstream


def upstream(kind, *, params=None, **inputs):
    return Upstream(kind=kind, params=params or {}, facts=None, files={}, inputs=inputs)


DOSED = upstream("snapshot", aligned=upstream("align"))
NORMS = upstream(
    "measure", params={"metrics": ["relative_norm"]}, delta=upstream("extract", a=DOSED)
)
DOSES = upstream("preferences", aligned=DOSED)
AT_MARGIN = View(at={"margin": [0.5, 1.0]})


def test_a_comparison_of_no_snapshot_is_refused_at_a_dose_and_taken_without() -> None:
    of_base = {"rates": upstream("behave", model=upstream("pretrain"))}
    with pytest.raises(UserError, match="gathered stages rates") as caught:
        notes_on_doses(AT_MARGIN, of_base)
    assert caught.value.where == "at" and "leave `at` out" in caught.value.hint
    assert not notes_on_doses(View(), of_base)


def test_a_dose_that_no_gathered_stage_measures_is_said_once() -> None:
    (note,) = notes_on_doses(AT_MARGIN, {"norms": NORMS})
    assert "reward_margin of snapshots, from which the dose margin is read" in note


def test_nothing_is_said_where_the_dose_is_measured() -> None:
    assert not notes_on_doses(AT_MARGIN, {"norms": NORMS, "achieved": DOSES})


def test_of_two_doses_only_the_one_that_is_not_measured_is_named() -> None:
    both = View(at={"kl": 0.5, "toxic_mass_fall": 0.1})
    (note,) = notes_on_doses(both, {"norms": NORMS, "achieved": DOSES})
    assert "toxic_mass of snapshots" in note and "toxic_mass_fall" in note


def test_a_dose_that_is_asked_for_twice_is_read_once() -> None:
    assert len(View(at={"kl": [0.5, 0.5, 1]}).doses) == 2
