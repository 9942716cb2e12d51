"""Numbers at equal dose: where they are, where there are none and why, and how sure they are."""

import numpy as np
import pytest

from analysis.dose.doses import Dose
from analysis.dose.equal_dose import at_equal_dose, rows_at
from analysis.status import Status

HALF_A_NAT = Dose.named("kl", 0.5)


def read(trainings, dose=HALF_A_NAT, metric="consistency", **where):
    numbers = at_equal_dose(trainings.table, dose, circumstances=trainings.circumstances)
    (number,) = [
        n
        for n in numbers
        if n.metric == metric
        and all(n.axes.get(k, getattr(n, k, None)) == v for k, v in where.items())
    ]
    return number


def test_a_number_that_follows_the_dose_is_read_where_the_dose_is_reached(trainings):
    trainings.add("kl_per_token", lambda step: step / 80, error=0.02)
    trainings.add("consistency", lambda step: 1 - step / 160, error=0.02)
    number = read(trainings)
    assert number.value == pytest.approx(0.75)
    assert number.low < 0.75 < number.high
    assert number.axes["snapshot"] == "kl=0.5" and number.axes["objective"] == "dpo"
    step = read(trainings, metric="step_at_dose")
    assert step.value == pytest.approx(40) and step.low < 40 < step.high


def test_it_need_not_be_monotone_in_the_dose_itself(trainings):
    trainings.add("kl_per_token", lambda step: step / 80)
    trainings.add("consistency", {10: 0.2, 20: 0.8, 40: 0.3, 80: 0.9})
    assert read(trainings).value == pytest.approx(0.3)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_between_snapshots_the_interval_holds_a_smooth_course(trainings, power):
    steps = (5, 10, 20, 40, 60, 80)
    trainings.add("kl_per_token", lambda step: (step / 80) ** power, steps=steps, error=0.02)
    trainings.add("consistency", lambda step: np.sin(step / 30), steps=steps, error=0.02)
    for at in (0.3, 0.5, 0.9):
        number = read(trainings, Dose.named("kl", at))
        assert number.low <= np.sin(80 * at ** (1 / power) / 30) <= number.high


@pytest.mark.parametrize(
    "masses", [{10: 0.4, 20: 0.1, 40: 0.01, 80: 0.005}, {10: 0.6, 20: 0.0, 40: 0.0, 80: 0.5}]
)
def test_a_probability_between_snapshots_and_its_interval_stay_one(trainings, masses):
    """The curve through the second four goes below 0 between two of them, the interval of both."""
    trainings.add("kl_per_token", lambda step: step / 80, error=0.02)
    trainings.add("toxic_mass", masses, error=0.02)
    for at in (0.375, 0.45):
        number = read(trainings, Dose.named("kl", at), metric="toxic_mass")
        assert 0.0 == number.low <= number.value <= number.high <= 1.0


def test_a_dose_beyond_the_last_snapshot_is_not_guessed(trainings):
    trainings.add("kl_per_token", lambda step: step / 200)
    trainings.add("consistency", lambda step: 1.0)
    number = read(trainings)
    assert number.value is None and number.status is Status.NOT_AT_DOSE
    assert number.reason == "kl_per_token 0.5 was not reached: 0.4 at step 80, the last"


def test_before_the_first_snapshot_only_what_is_known_of_the_base_is_read(trainings):
    trainings.add("kl_per_token", lambda step: step / 10)
    trainings.add("consistency", lambda step: 1.0)
    trainings.add("relative_norm", lambda step: step / 100)
    trainings.add("toxic_mass", lambda step: 0.5 - step / 200, steps=(0, 10, 20, 40, 80))
    number = read(trainings)
    assert number.status is Status.NOT_AT_DOSE
    assert "before step 10, the first snapshot at which this was measured" in number.reason
    assert read(trainings, metric="relative_norm").value == pytest.approx(0.05)
    assert read(trainings, metric="toxic_mass").value == pytest.approx(0.475)


def test_a_training_that_came_back_from_the_dose_has_no_one_step_there(trainings):
    trainings.add("kl_per_token", {10: 0.2, 20: 0.9, 40: 0.3, 80: 1.0}, error=0.05)
    trainings.add("consistency", lambda step: 1.0)
    number = read(trainings)
    assert number.status is Status.NOT_AT_DOSE
    assert "not monotone around 0.5: 0.9 at step 20, 0.3 at step 40" in number.reason
    assert read(trainings, Dose.named("kl", 0.1)).status is Status.NOT_AT_DOSE  # before the first
    assert read(trainings, Dose.named("kl", 0.25)).value == pytest.approx(1.0)


def test_a_fall_that_chance_allows_is_pooled(trainings):
    def error(step):
        return 0.3 * np.random.default_rng(step).standard_normal(20)

    trainings.add("kl_per_token", {10: 0.2, 20: 0.52, 40: 0.48, 80: 1.0}, error=error)
    trainings.add("consistency", lambda step: step / 100)
    number = read(trainings)
    assert 0.2 < number.value < 0.4


def test_a_fall_of_toxic_mass_is_a_dose_where_the_base_was_measured(trainings):
    trainings.add(
        "toxic_mass", lambda step: 0.5 - step / 200, steps=(0, 10, 20, 40, 80), error=0.02
    )
    trainings.add("consistency", lambda step: 1 - step / 160, error=0.02)
    assert read(trainings, Dose.named("toxic_mass_fall", 0.3)).value == pytest.approx(1 - 60 / 160)


def test_without_the_base_a_fall_is_not_known(trainings):
    trainings.add("toxic_mass", lambda step: 0.5 - step / 200)
    trainings.add("consistency", lambda step: 1.0)
    number = read(trainings, Dose.named("toxic_mass_fall", 0.3))
    assert number.reason == "toxic_mass was not measured at its snapshots and in the base"


@pytest.mark.parametrize("alone", [True, False])
def test_dpo_after_sft_begins_where_the_model_of_sft_ended(trainings, alone):
    """What is of the offset of SFT is no number of SFT's model alone."""
    of_sft = {"aligned": "sft", "run": "sft", "objective": "sft", "alone": alone, "step": None}
    trainings.add("toxic_mass", {7: 0.5}, steps=(7,), error=0.02, about=of_sft)
    trainings.rows[-1] |= {"objective": "sft", "snapshot": None}
    trainings.add("toxic_mass", lambda step: 0.5 - step / 200, error=0.02, about={"base": "sft"})
    trainings.add("consistency", lambda step: 1 - step / 160, error=0.02, about={"base": "sft"})
    number = read(trainings, Dose.named("toxic_mass_fall", 0.3))
    assert number.value == (pytest.approx(1 - 60 / 160) if alone else None)


def test_the_model_with_which_a_training_began_stands_at_its_dose_as_a_base_does(trainings):
    of_end = {"aligned": "sft", "run": "sft", "objective": "sft", "alone": True, "step": None}
    trainings.add("toxic_mass", {7: 0.5}, steps=(7,), error=0.02, about=of_end)
    of_other = {**of_end, "aligned": "ipo", "run": "ipo", "objective": "ipo"}
    trainings.add("toxic_mass", {8: 0.4}, steps=(8,), error=0.02, about=of_other)
    trainings.add("kl_per_token", lambda step: step / 80, error=0.02, about={"base": "sft"})
    trainings.add("toxic_mass", lambda step: 0.3 - step / 400, about={"base": "sft"})
    rows, _ = rows_at(trainings.table, [HALF_A_NAT], trainings.circumstances)
    kept = [row["value"] for row in rows if row["metric"] == "toxic_mass"]
    assert 0.5 in kept and 0.4 not in kept


def test_a_snapshot_without_the_number_leaves_a_hole(trainings):
    trainings.add("kl_per_token", lambda step: step / 80)
    trainings.add("consistency", {10: 0.2, 20: 0.4, 40: None, 80: 0.9})
    assert read(trainings, Dose.named("kl", 0.2)).value == pytest.approx(0.3, abs=0.05)
    hole = read(trainings, Dose.named("kl", 0.6))
    assert (hole.value, hole.status, hole.reason) == (None, Status.UNDEFINED, "no rows")


@pytest.mark.parametrize("power", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("step", [20, 80])
def test_at_a_snapshot_the_number_is_its_own_whatever_the_one_before_lacks(trainings, power, step):
    """The dose is that of the snapshot; a hole before it, or the unknown base, is not needed."""
    trainings.add("kl_per_token", lambda at: (at / 80) ** power, error=0.02)
    known = {at: 0.3 + at / 200 if at >= step else None for at in (10, 20, 40, 80)}
    trainings.add("consistency", known, error=0.02)
    number = read(trainings, Dose.named("kl", (step / 80) ** power))
    assert (number.value, number.status) == (pytest.approx(0.3 + step / 200), Status.OK)
    assert (number.low is None) == (step == 80)  # of one snapshot: its slope is not known
    assert (number.reason is None) == (step == 20)


def test_at_the_first_snapshot_nothing_of_the_base_is_needed(trainings):
    for step in range(1, 30):
        trainings = type(trainings)()
        steps = (step, 3 * step, 5 * step)
        trainings.add("kl_per_token", lambda at: np.log1p(at / 7), steps=steps)
        trainings.add("consistency", lambda at: 0.5 + at / 1000, steps=steps)
        number = read(trainings, Dose.named("kl", float(np.log1p(step / 7))))
        assert number.value == pytest.approx(0.5 + step / 1000), step


def test_the_dose_s_error_counts_where_the_number_begins_at_the_very_snapshot(trainings):
    """Known from step 20 on it is as unsure there as one known from step 10 on."""

    def error(step):
        return 0.1 * np.random.default_rng(7).standard_normal(20)

    trainings.add("kl_per_token", lambda at: at / 80, error=error)
    trainings.add("consistency", lambda at: at / 80, source="other")
    trainings.add("mean_cosine", {10: None, 20: 0.25, 40: 0.5, 80: 1.0}, source="other")
    at = Dose.named("kl", 0.25)
    whole, part = (read(trainings, at, metric) for metric in ("consistency", "mean_cosine"))
    assert part.high - part.low == pytest.approx(whole.high - whole.low) and part.low < 0.24


def test_a_number_that_is_a_function_of_the_dose_group_by_group_is_sure(trainings):
    """Both move together: leaving out a group moves number and dose along one line."""

    def error(step):
        return step / 80 * np.linspace(-0.5, 0.5, 20)

    trainings.add("kl_per_token", lambda step: step / 80, error=error)
    trainings.add("reactivation", lambda step: step / 40, error=lambda step: 2 * error(step))
    sure = read(trainings, metric="reactivation")
    assert sure.high - sure.low < 1e-4
    trainings.circumstances = {
        key: about if "kl" in key else _of_pairs(about)
        for key, about in trainings.circumstances.items()
    }
    apart = read(trainings, metric="reactivation")
    alone = trainings.table[6]["high"] - trainings.table[6]["low"]
    assert apart.high - apart.low == pytest.approx(2**0.5 * alone, rel=1e-3)


def _of_pairs(about):
    from dataclasses import replace

    return replace(about, source=None, prompts=None)


def test_an_exact_number_is_as_unsure_as_the_dose(trainings):
    trainings.add("kl_per_token", lambda step: step / 80, error=0.1)
    trainings.add("weight_drift", lambda step: step / 80)
    for row in trainings.rows:
        if row["metric"] == "weight_drift":
            row |= {"low": None, "high": None, "left_out": None}
    number, dose = read(trainings, metric="weight_drift"), trainings.table[2]
    assert number.high - number.low == pytest.approx(dose["high"] - dose["low"], rel=1e-3)


@pytest.mark.parametrize("pairs", ["texts", "other"])
@pytest.mark.parametrize(("at", "least"), [(0.25, 0.4), (0.3, 0.4), (0.5, 0.4), (0.75, 0.69)])
def test_a_share_that_no_group_moves_is_as_unsure_as_at_the_snapshots(trainings, at, least, pairs):
    """All pairs of every group are preferred, or none: without a group it is the same share."""
    trainings.add("kl_per_token", lambda step: step / 80, error=0.02)
    shares = {10: 1.0, 20: 1.0, 40: 1.0, 80: 0.98}
    trainings.add("preference_accuracy", shares, source=pairs)
    ends = {10: 0.4, 20: 0.4, 40: 0.4, 80: 0.98}
    for row in trainings.rows:
        if row["metric"] == "preference_accuracy":
            row |= {"low": ends[int(row["snapshot"][5:])]}
    number = read(trainings, Dose.named("kl", at), metric="preference_accuracy")
    assert number.low == pytest.approx(least, abs=0.02)
    assert number.high == pytest.approx(number.value, abs=0.02)


@pytest.mark.parametrize("of_base", [0.1, 3.0])
def test_a_dose_that_was_measured_of_another_training_brings_its_error(trainings, of_base):
    """Both masses move alike, each by its own draws; what both have of their base cancels."""
    steps, fell, draws = (0, 10, 20, 40, 80), 0.2, 200
    held = {"with": 0, "without": 0}
    widths = {"with": 0.0, "without": 0.0}
    for seed in range(draws):
        random = np.random.default_rng(seed)
        errors = {step: 0.02 * random.standard_normal(20) for step in steps}
        errors[0] *= of_base
        training = type(trainings)()
        masses = {step: 0.5 - step / 200 + errors[step].mean() for step in steps}
        training.add("toxic_mass", masses, steps=steps, error=errors.__getitem__)
        training.add("consistency", lambda step: 1 - step / 100)
        moves = errors[0] - 0.02 * random.standard_normal(20)  # less those of the other model
        at = fell + moves.mean()
        groups = tuple(at - (move - moves.mean()) / 19 for move in moves)
        for name, left_out in (("with", groups), ("without", ())):
            dose = Dose(metric="toxic_mass", at=at, is_fall=True, left_out=left_out)
            number = read(training, dose)
            held[name] += number.low <= 1 - 2 * fell <= number.high
            widths[name] += number.high - number.low
    assert held["with"] >= 0.9 * draws, held
    if of_base < 1:
        assert held["without"] < 0.9 * draws, held
    else:
        assert widths["without"] > 1.8 * widths["with"], widths


def test_a_measured_dose_without_its_groups_leaves_no_interval(trainings):
    trainings.add("toxic_mass", lambda s: 0.5 - s / 200, steps=(0, 10, 20, 40, 80), error=0.02)
    trainings.add("consistency", lambda step: 1.0, error=0.02)
    number = read(trainings, Dose(metric="toxic_mass", at=0.2, is_fall=True, left_out=None))
    assert number.value == pytest.approx(1.0) and number.low is None
    assert "toxic_mass not known without each prompt group" in number.reason


def test_numbers_of_a_training_whose_dose_nobody_measured_say_so(trainings):
    trainings.add("consistency", lambda step: 1.0)
    assert read(trainings).reason == "kl_per_token was not measured at its snapshots"


@pytest.mark.parametrize("at", [0.0, -1.0, float("nan"), float("inf")])
def test_no_training_stands_at_the_base_s_dose(at):
    with pytest.raises(ValueError, match="above 0"):
        Dose.named("kl", at)


def test_a_dose_that_does_not_exist_is_told_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'margin'"):
        Dose.named("magrin", 1.0)


def test_the_axis_of_snapshots_may_have_any_name(trainings):
    trainings.add("kl_per_token", lambda step: step / 80)
    trainings.add("consistency", lambda step: step / 160)
    trainings.rows = [
        {"checkpoint": row.pop("snapshot"), "condition": "plain", **row} for row in trainings.rows
    ]
    number = read(trainings)
    assert number.value == pytest.approx(0.25)
    assert number.axes == {"checkpoint": "kl=0.5", "condition": "plain", "objective": "dpo"}


def test_the_dose_itself_is_what_was_asked_for(trainings):
    trainings.add("kl_per_token", lambda step: (step / 80) ** 2, error=0.05)
    number = read(trainings, metric="kl_per_token")
    assert (number.value, number.low, number.high) == (0.5, 0.5, 0.5)


OWN_PAIRS = {"source": None, "prompts": None, "transform": None, "pairs": "held out"}


def test_numbers_of_the_same_pairs_lose_their_groups_together(trainings):
    """Kind `preferences` has no prompts: its groups are those of its pairs."""

    def error(step):
        return step / 80 * np.linspace(-0.5, 0.5, 20)

    def twice(step):
        return 2 * error(step)

    trainings.add("kl_per_token", lambda step: step / 80, error=error, about=OWN_PAIRS)
    trainings.add("reward_margin", lambda step: step / 40, error=twice, about=OWN_PAIRS)
    sure = read(trainings, metric="reward_margin")
    assert sure.high - sure.low < 1e-4
    foreign = OWN_PAIRS | {"pairs": "others", "foreign": True}
    trainings.add("chosen_logp_change", lambda step: step / 40, error=twice, about=foreign)
    apart = read(trainings, metric="chosen_logp_change")
    assert apart.high - apart.low > 0.1


def test_the_dose_is_of_a_training_s_own_pairs_where_foreign_ones_were_read_too(trainings):
    foreign = OWN_PAIRS | {"pairs": "others", "foreign": True}
    trainings.add("kl_per_token", lambda step: step / 20, about=foreign, compared_by="abroad")
    trainings.add("kl_per_token", lambda step: step / 80, about=OWN_PAIRS, compared_by="home")
    trainings.add("consistency", lambda step: step / 100)
    assert read(trainings).value == pytest.approx(0.4)


def test_a_begun_reply_is_held_against_the_base_s_and_is_no_dose(trainings):
    """One set of prompts, with and without a begun reply: base and dose are told apart."""
    steps = (0, 10, 20, 40, 80)
    begun = {"answer": "rejected", "prefill": 8}
    trainings.add(
        "toxic_mass", lambda s: 0.9 - s / 400, steps=steps, about=begun, given="prefill-8"
    )
    trainings.add("toxic_mass", lambda s: 0.5 - s / 200, steps=steps, given="prefill-0")
    trainings.add("consistency", lambda step: step / 100, given="prefill-0")
    fall = Dose.named("toxic_mass_fall", 0.025)
    after = read(trainings, fall, metric="toxic_mass", given="prefill-8")
    assert after.value == pytest.approx(0.9 - 5 / 400, abs=1e-3)
    assert read(trainings, Dose.named("toxic_mass_fall", 0.1)).value == pytest.approx(0.2)
