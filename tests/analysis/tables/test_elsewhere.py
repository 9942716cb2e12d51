"""What a table hides stands in it with a dash, or below it, with the option that shows it."""

import pytest

from analysis.drawing.figure import Material
from analysis.drawing.figures.against_size import drawings
from analysis.long_table.query import LongTable
from analysis.long_table.selection import Selection
from analysis.tables.comparison_table import compare
from analysis.tables.contrast_table import contrast_table
from analysis.tables.layout import TableLayout
from analysis.tables.scaling_table import scaling_table

SIZES = {"small": 1_000, "large": 9_000}


def number(metric="offset_norm", **over):
    row = {"model": "small", "family": "gpt2", "num_layers": 5, "metric": metric, "layer": 3}
    row |= {"site": "resid_mid", "position": "last", "objective": "dpo", "seed": 0, "value": 0.5}
    row |= over
    return {"num_parameters": SIZES.get(row["model"])} | row


def failed(metric="offset_norm", **over):
    place = dict.fromkeys(("site", "position", "layer"))
    why = {"value": None, "status": "job_failed", "reason": "killed"}
    return number(metric, **place, **why, **over)


def reasons(table, model):
    (line,) = (c for side, c in zip(table.rows, table.cells, strict=True) if model in side)
    return [cell.number.reason for cell in line]


def test_a_model_that_no_depth_shares_has_a_row_of_dashes_with_the_option():
    rows = [number(), number(model="large", layer=0)]
    (reason,) = reasons(compare(rows), "large")
    assert reason.startswith("not at site resid_mid; relative depth 0.75")
    assert reason.endswith("it is at relative depth 0 (--depth 0)")
    (there,) = reasons(compare(rows, selection=Selection(depths=(0.0,))), "small")
    assert there.endswith("(--depth 0.75)")


def test_a_model_at_another_site_has_a_row_of_dashes_with_the_options():
    rows = [number(), number(model="large", site="resid_post", position="mean", layer=0)]
    (reason,) = reasons(compare(rows), "large")
    ways = "--site resid_post --position mean --depth 0"
    assert reason.endswith(f"it is at resid_post; mean ({ways})")
    shown = Selection(site="resid_post", position="mean", depths=(0.0,))
    assert reasons(compare(rows, selection=shown), "large") == [None]


def test_a_row_that_where_leaves_out_has_no_dashes():
    rows = [number(), number(model="large", layer=0)]
    table = compare(rows, selection=Selection(where={"model": ["small"]}))
    assert [side[1] for side in table.rows] == ["small"]


def test_a_metric_at_another_place_is_named_below_the_table():
    rows = [number(), number("consistency", site="resid_post", position="mean")]
    table = compare(rows)
    assert [header[0] for header in table.columns] == ["offset_norm"]
    told = (
        "Measured elsewhere: consistency at resid_post; mean (--site resid_post --position mean)."
    )
    assert told in table.caption
    shown = compare(rows, selection=Selection(site="resid_post", position="mean"))
    assert [header[0] for header in shown.columns] == ["consistency"]


def test_values_of_an_axis_at_another_place_are_named_below_the_table():
    rows = [number(), number(objective="sft", position="turn-1")]
    caption = compare(rows).caption
    assert "offset_norm of objective sft at resid_mid; turn-1 (--position turn-1)." in caption


def test_a_table_that_hides_nothing_says_nothing():
    rows = [number(), number(model="large"), number(layer=1), number(position="mean")]
    table = compare(rows)
    assert "elsewhere" not in table.caption and not table.footnotes


@pytest.mark.parametrize("asked", [{"site": "resid_pre"}, {"position": "all"}])
def test_where_nothing_was_measured_what_was_elsewhere_is_not_hidden_by_what_failed(asked):
    rows = [number(), number(objective="sft"), failed(objective="wild")]
    table = compare(rows, selection=Selection(**asked))
    assert [header[1] for header in table.columns] == ["dpo", "sft", "wild"]
    (option,) = {"site": ["--site resid_mid"], "position": ["--position last"]}[next(iter(asked))]
    for reason in reasons(table, "small")[:2]:
        assert reason.endswith(f"it is at resid_mid; last ({option})")
    assert reasons(table, "small")[2].endswith("killed")
    assert f"no activations were measured there, but at resid_mid; last ({option})" in table.caption


def test_a_table_of_a_place_without_measurements_has_its_rows():
    table = compare([number()], selection=Selection(site="resid_pre"))
    assert reasons(table, "small")[0].endswith("(--site resid_mid)")


def test_fits_and_figures_say_which_models_are_elsewhere():
    rows = [number(value=0.1 + at, num_parameters=10**at, model=f"m{at}") for at in (3, 4, 5, 6)]
    rows.append(number(model="large", layer=0))
    exponents = scaling_table(rows, layout=TableLayout(seeds="seed"))
    assert "left out: 1 measured_elsewhere" in exponents.footnotes["a"]
    (drawing,) = drawings(Material(measured=LongTable.of(rows)))
    texts = [
        text.get_text() for text in drawing.canvas.findobj(lambda part: hasattr(part, "get_text"))
    ]
    assert any("1 measured elsewhere" in text.replace("\n", " ") for text in texts)


def test_contrasts_of_a_place_without_measurements_say_where_there_are_some():
    rows = [number(low=0.4, high=0.6), number(objective="sft", low=0.4, high=0.6)]
    table = contrast_table(
        rows, contrasts=["objective=dpo-sft"], selection=Selection(position="all")
    )
    assert "Of all no activations were measured there, but at resid_mid; last" in table.caption


def test_what_another_stage_measured_at_the_place_is_not_said_to_be_at_another():
    of = {"site": "resid_mid", "position": "last"}
    rows = [
        number(compared_by="from-base"),
        number(compared_by="from-sft", objective="sft"),
        number(compared_by="from-sft", objective="sft", **of, layer=0),
    ]
    table = compare(rows, layout=TableLayout(columns=("objective",)))
    told = {
        cell.number.reason for line in table.cells for cell in line if cell.number.value is None
    }
    assert told == {
        "another stage measured it: from-base",
        "another stage measured it: from-sft",
    }


def test_the_place_is_that_of_what_is_shown_and_not_of_a_metric_that_is_not():
    """While geometry is not measured yet, a probe's site said where behaviour was."""
    behaviour = [
        number("toxic_mass", site=None, layer=None, position=position)
        for position in ("last", "turn-1", "turn-2")
    ]
    rows = [*behaviour, number("probe_auc", site="resid_post", position="mean")]
    table = compare(rows, layout=TableLayout(metrics=("toxic_mass",)))
    assert table.columns == (("toxic_mass",),) and table.caption.startswith("Position last; ")
    both = compare(rows, layout=TableLayout(metrics=("toxic_mass", "probe_auc")))
    assert both.caption.startswith("Site resid_post; ")
    laws = scaling_table(rows, layout=TableLayout(metrics=("toxic_mass",)))
    assert laws.caption.startswith("position last") and len(laws.rows) == 1
