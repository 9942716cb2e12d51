"""Answers at every place: how many hold, which places are one, what has no place."""

from dataclasses import replace
from typing import Any

from analysis.answering.answer import ANSWERS, Specifications, Verdict, ordered_answers
from analysis.answering.findings import Findings
from analysis.answering.specifications import specifications
from analysis.drawing.figure import Material, to_bytes
from analysis.drawing.figures.specification_curve import drawings
from analysis.long_table.columns import to_rows
from analysis.long_table.query import LongTable
from analysis.long_table.selection import Selection
from tests.analysis.answering.test_at_equal_dose import ladder

SHARED, APART = 0.9, -0.5


def everywhere(study: Any) -> dict[str, Specifications]:
    rows = to_rows(study.rows)
    found = Findings.from_rows(rows, study.circumstances, selection=Selection(), seeds="seed")
    studied = [entry.answer(found) for entry in ordered_answers()]
    return specifications(rows, study.circumstances, studied, found, "seed")


def at_layers(study: Any, **shared: list[int]) -> None:
    """Two sizes of five layers; offsets are shared at these layers of each position."""
    for model in ("a", "b"):
        study.add("toxic_mass", 0.5, model=model, objective=None)
        study.add("toxic_mass", 0.05, model=model)
        for position, layers in shared.items():
            for layer in range(5):
                value = (SHARED if layer in layers else APART) + layer / 1000
                value += 0.01 * (position == "response")  # no two places have the same numbers
                place = {"site": "resid_mid", "layer": layer, "position": position}
                study.add("consistency", value, model=model, **place)


def test_it_is_counted_where_the_answer_of_the_studys_place_holds(study: Any) -> None:
    at_layers(study, last=[2, 3, 4], response=[3])
    got = everywhere(study)["under_real_preferences"]
    assert (got.num_holding, len(got.of)) == (4, 10)
    assert got.in_words == "The answer is yes at 4 of 10 places (no at 6)."
    holding = {(each.position, round(each.depth, 1)) for each in got.of if each.verdict == "yes"}
    assert {position for position, _ in holding} == {"last", "response"}
    assert all(len(each.numbers) == 2 for each in got.of)


def shared_at_layers(study: Any, **about: Any) -> None:
    at_layers(study, last=[2, 3, 4])
    study.add("toxic_mass", 0.05, model="a", objective="sft")
    compared = {"against_objective": "sft", "against_prompts": "plain", **about}
    for layer in range(5):
        place = {"site": "resid_mid", "layer": layer, "centred": False}
        study.add("shared_part", 0.7 + layer / 100, model="a", about=compared, **place)


def test_what_sft_shares_is_counted_about_zero_and_about_the_mean(study: Any) -> None:
    """Most is shared about zero, half of the depths share most about the mean."""
    shared_at_layers(study)
    compared = {"against_objective": "sft", "against_prompts": "plain"}
    for layer in range(5):
        place = {"site": "resid_mid", "layer": layer, "centred": True}
        study.add("shared_part", 0.301 + layer / 10, model="a", about=compared, **place)
    got = everywhere(study)
    curve = got["shared_with_sft"]
    assert curve.in_words == "The answer is yes at 7 of 10 places (no at 2, undecided at 1)."
    assert {(each.centring, each.verdict.value) for each in curve.of} == {
        *(("zero", "yes"), ("the mean", "yes"), ("the mean", "no"), ("the mean", "undecided")),
    }
    assert all(len(each.numbers) == 1 for each in curve.of)
    holds = got["under_real_preferences"]
    assert len(holds.of) == 5 and {each.centring for each in holds.of} == {""}


def test_what_is_read_at_a_dose_of_training_is_so_everywhere(study: Any) -> None:
    """SFT fell by 0.1, as DPO had by step 20, where it shared most at all depths but the first."""
    study.add("toxic_mass", 0.5, model="a", objective=None, snapshot=None)
    study.add("toxic_mass", 0.4, model="a", objective="sft", snapshot=None)
    for step, mass, share in ((10, 0.45, 0.9), (20, 0.4, 0.8), (40, 0.3, 0.5), (80, 0.1, 0.2)):
        is_midway = step < 80
        aligned = "a dpo 0" + (f" at {step}" if is_midway else "")
        about = {"run": "a dpo 0", "step": step, "midway": is_midway, "aligned": aligned}
        label = f"step-{step}" if is_midway else "end"
        study.add("toxic_mass", mass, model="a", about=about, snapshot=label)
        about |= {"against_objective": "sft", "against_prompts": "plain"}
        about |= {"against_aligned": "a sft 0"}
        for layer in range(5):
            place = {"site": "resid_mid", "layer": layer, "centred": False, "snapshot": label}
            value = share + layer / 1000 if layer else 0.1
            study.add("shared_part", value, model="a", about=about, **place)
    for row in study.rows:
        row["left_out"] = [row["value"] + 1e-3 * (-1) ** group for group in range(20)]
    curve = everywhere(study)["shared_with_sft"]
    assert curve.in_words == "The answer is yes at 4 of 5 places (no at 1)."
    values = [each.numbers[0].estimate.value for each in curve.of if each.verdict == "yes"]
    assert max(values) < 0.9 and min(values) > 0.7  # at step 20, neither the first nor the end


def test_growth_at_equal_dose_is_counted_at_every_depth() -> None:
    """Over the dose consistency is the same at all sizes, but at the first depth it grows weak."""
    rows, circumstances = ladder()
    for row in [row for row in rows if row["metric"] == "consistency"]:
        for layer in (0, 1):
            key = f"{row['key']}/{layer}"
            circumstances[key] = circumstances[row["key"]]
            factor = 1.001 if layer else (1e5 / row["num_parameters"]) ** 0.6
            scaled = {name: row[name] * factor for name in ("value", "low", "high")}
            left_out = [value * factor for value in row["left_out"]]
            rows.append({**row, **scaled, "left_out": left_out, "layer": layer, "key": key})
    table = to_rows(rows)
    found = Findings.from_rows(table, circumstances, selection=Selection(), seeds="seed")
    studied = [ANSWERS.find("at_equal_dose").answer(found)]
    curve = specifications(table, circumstances, studied, found, "seed")["at_equal_dose"]
    assert studied[0].verdict is Verdict.YES
    assert curve.in_words == "The answer is yes at 2 of 3 places (mixed at 1)."
    assert {piece.cell["dose"] for piece in curve.of[0].numbers} == {
        piece.cell["dose"] for piece in studied[0].evidence if "dose" in piece.cell
    }


def test_half_depths_of_offsets_are_of_sites_and_depths_and_vote_nowhere(study: Any) -> None:
    about = {"answer": "rejected", "prompts": "rejected", "source": "rejected"}
    study.add("half_depth_token_kl", 2.0, model="a", about=about, position=None)
    for layer in (1, 3):
        place = {"site": "resid_mid", "layer": layer, "position": None, "about": about}
        study.add("half_depth_relative_norm", 10.0 + layer, model="a", **place)
    curve = everywhere(study)["few_tokens_deep"]
    told = "The votes are the same at each of 2 places: none is of activations."
    assert (curve.in_words, curve.num_holding) == (told, 2)


def test_an_answer_that_reads_no_activations_says_so(study: Any) -> None:
    place = {"position": None, "model": "a"}
    study.add("preference_accuracy_per_token", 0.9, **place)
    study.add("reward_margin_per_token", 1.0, **place)
    curve = everywhere(study)["what_training_achieved"]
    told = "It rests on no number of activations, so that no other place could be chosen."
    assert (curve.of, curve.in_words) == ((), told)
    material = Material(measured=LongTable.of(to_rows(study.rows)))
    curves = {"what_training_achieved": ("Did it?", curve)}
    assert not list(drawings(replace(material, specifications=lambda: curves)))


def test_depths_at_which_a_model_was_not_measured_are_no_places(study: Any) -> None:
    at_layers(study, last=[2, 3, 4])
    study.rows = [r for r in study.rows if not (r["model"] == "a" and r.get("layer") in (0, 1))]
    assert len(everywhere(study)["under_real_preferences"].of) == 3


def test_an_answer_that_is_not_measured_has_no_place_and_one_may_have_one(study: Any) -> None:
    assert everywhere(study) == {}
    study.aligned("a")
    got = everywhere(study)
    assert got.keys() == {"holds_as_models_grow", "under_real_preferences"}
    told = {curve.in_words for curve in got.values()}
    assert told == {"It was measured at one place alone."}


def test_a_curve_is_drawn_of_answers_that_depend_on_the_place(study: Any) -> None:
    at_layers(study, last=[2, 3, 4], response=[3])
    curves = {name: ("Is it?", curve) for name, curve in everywhere(study).items()}
    material = Material(measured=LongTable.of(to_rows(study.rows)), specifications=lambda: curves)
    drawn = list(drawings(material))
    assert "under_real_preferences-specification-curve" in {each.name for each in drawn}
    (one,) = [each for each in drawn if each.name.startswith("under_real")]
    assert "yes at 4 of 10 places" in one.caption
    ticks = [tick.get_text() for tick in one.canvas.axes[1].get_yticklabels()]
    assert "position last" in ticks and "model b" in ticks
    assert to_bytes(one.canvas, ".png") == to_bytes(one.canvas, ".png")
    study.rows.clear()
    at_layers(study, last=[0, 1, 2, 3, 4], response=[0, 1, 2, 3, 4])
    same = {n: ("Is it?", c) for n, c in everywhere(study).items() if c.num_holding == len(c.of)}
    assert same and not list(
        drawings(Material(measured=material.measured, specifications=lambda: same))
    )


def test_places_with_the_same_numbers_count_once(study: Any) -> None:
    at_layers(study, last=[2, 3, 4])
    for row in [row for row in study.rows if row["metric"] == "consistency"]:
        key = f"{row['key']}/again"
        study.rows.append(row | {"position": "response", "key": key})
        study.circumstances[key] = study.circumstances[row["key"]]
    assert len(everywhere(study)["under_real_preferences"].of) == 5
