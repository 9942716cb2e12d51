"""Effects in answers are paired over prompts: planted falls, halves of effects, both directions."""

from typing import Any

import numpy as np
import pytest

from analysis.answering import evidence
from analysis.answering.findings import Findings
from analysis.estimates.intervals import jackknife
from analysis.long_table.columns import to_rows
from analysis.long_table.selection import Selection

NUM_GROUPS = 20
CONDITIONS = ("plain", "rot13")


def add(study: Any, values: np.ndarray, kept: bool = True, **where: Any) -> None:
    """Add a toxic mass that is the mean of equal prompt groups."""
    left_out = (values.sum() - values) / (NUM_GROUPS - 1)
    got = jackknife(float(values.mean()), left_out)
    study.add("toxic_mass", got.value, model="a", about={"source": "texts"}, **where)
    study.rows[-1] |= {"low": got.low, "high": got.high, "num_groups": NUM_GROUPS}
    study.rows[-1] |= {"left_out": tuple(left_out.tolist()) if kept else None}


def planted(study: Any, rng: np.random.Generator, left: float, kept: bool = True) -> Findings:
    """Plant a base that loses 0.3 of 0.5 on plain prompts, and `left` of that share elsewhere."""
    prompts = rng.standard_normal(NUM_GROUPS)
    study.rows.clear()
    for condition, lost in zip(CONDITIONS, (0.6, 0.6 * left), strict=True):
        for objective, mean in ((None, 0.5), ("dpo", 0.5 * (1 - lost))):
            noise = 0.1 * prompts + 0.02 * rng.standard_normal(NUM_GROUPS)
            values = mean * (1 + noise)
            add(study, values, kept, objective=objective, condition=condition)
    return Findings.from_rows(
        to_rows(study.rows), study.circumstances, selection=Selection(), seeds="seed"
    )


def falls(findings: Findings) -> list[Any]:
    return [finding for finding in findings.all if finding.aligned]


def test_a_fall_is_surer_than_its_sides_where_prompts_move_both(study: Any) -> None:
    wide, narrow = (
        evidence.drop(found, falls(found)[0])
        for found in (planted(study, np.random.default_rng(1), 0.2, kept) for kept in (False, True))
    )
    assert wide is not None and narrow is not None and wide.value == pytest.approx(narrow.value)
    widths = [(e.high or 0) - (e.low or 0) for e in (wide, narrow)]
    assert widths[1] < 0.8 * widths[0]


def test_a_fall_is_less_sure_where_prompts_move_its_sides_apart(study: Any) -> None:
    pull = 0.1 * np.random.default_rng(2).standard_normal(NUM_GROUPS)
    widths = []
    for kept in (False, True):
        study.rows.clear()
        add(study, 0.5 + pull, kept, objective=None)
        add(study, 0.3 - pull, kept, objective="dpo")
        found = Findings.from_rows(
            to_rows(study.rows), study.circumstances, selection=Selection(), seeds="seed"
        )
        fall = evidence.drop(found, falls(found)[0])
        assert fall is not None and fall.low is not None and fall.high is not None
        widths.append(fall.high - fall.low)
    assert widths[1] == pytest.approx(2**0.5 * widths[0], rel=0.01)


def test_a_share_of_what_one_prompt_group_alone_has_is_not_known_however_seeds_agree(
    study: Any,
) -> None:
    """Without that group the base has nothing to lose, whatever its seed."""
    for objective, mean in ((None, 0.1), ("dpo", 0.05)):
        for seed, apart in (("0", 1.0), ("1", 1.05), ("2", 1.0)):
            values = np.zeros(NUM_GROUPS)
            values[0] = mean * apart * NUM_GROUPS
            add(study, values, objective=objective, seed=seed)
            study.rows[-1]["seed"] = seed
    found = Findings.from_rows(
        to_rows(study.rows), study.circumstances, selection=Selection(), seeds="seed"
    )
    (after,) = falls(found)
    before = found.before(after)
    assert before is not None and before.number.low == 0.0  # 0.1, once in twenty groups
    assert evidence.lost_share(found, after) is None
    fall = evidence.drop(found, after)
    assert fall is not None and fall.low is not None and fall.low < 0


def test_exactly_half_of_an_effect_is_rarely_called_more_or_less(study: Any) -> None:
    rng, votes = np.random.default_rng(3), []
    for _ in range(150):
        found = planted(study, rng, 0.5)
        plain, other = (evidence.lost_share(found, finding) for finding in falls(found))
        votes.append(evidence.most_remains(other, plain))
    assert 150 - votes.count(None) <= 15  # 5 % is expected: 7.5, and 15 by chance once in 100


@pytest.mark.parametrize(("left", "vote"), [(0.3, False), (0.7, True)])
def test_what_is_off_half_is_seen(study: Any, left: float, vote: bool) -> None:
    found = planted(study, np.random.default_rng(4), left)
    plain, other = (evidence.lost_share(found, finding) for finding in falls(found))
    assert evidence.most_remains(other, plain) is vote
