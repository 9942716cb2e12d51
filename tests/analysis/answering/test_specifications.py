"""Answers at every place: how many hold, which places are one, what has no place."""

from typing import Any

from analysis.answering.answer import Specifications, ordered_answers
from analysis.answering.findings import Findings
from analysis.answering.specifications import specifications
from analysis.drawing.figure import Material, to_bytes
from analysis.drawing.figures.specification_curve import drawings
from analysis.long_table.columns import to_rows
from analysis.long_table.query import LongTable
from analysis.long_table.selection import Selection

SHARED, APART = 0.9, -0.5


def everywhere(study: Any) -> dict[str, Specifications]:
    rows = to_rows(study.rows)
    found = Findings.from_rows(rows, study.circumstances, selection=Selection(), seeds="seed")
    studied = [entry.answer(found) for entry in ordered_answers()]
    return specifications(rows, study.circumstances, studied, "seed")


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


def test_what_is_read_at_a_dose_of_training_is_not_counted_by_another_rule(study: Any) -> None:
    shared_at_layers(study)
    assert len(everywhere(study)["shared_with_sft"].of) == 5
    study.rows.clear()
    study.circumstances.clear()
    shared_at_layers(study, run="a dpo 0", step=80)
    assert "shared_with_sft" not in everywhere(study)
    assert "under_real_preferences" in everywhere(study)


def test_depths_at_which_a_model_was_not_measured_are_no_places(study: Any) -> None:
    at_layers(study, last=[2, 3, 4])
    study.rows = [r for r in study.rows if not (r["model"] == "a" and r.get("layer") in (0, 1))]
    assert len(everywhere(study)["under_real_preferences"].of) == 3


def test_an_answer_that_is_not_measured_or_has_one_place_has_no_curve(study: Any) -> None:
    assert everywhere(study) == {}
    study.aligned("a")
    assert everywhere(study) == {}


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
