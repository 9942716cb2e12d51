"""Figures of a made-up study: what is drawn, what is said to be missing, and that it fits."""

import numpy as np
import pyarrow as pa
import pytest

from analysis.drawing.cuts import cuts
from analysis.drawing.figure import Detail, Material
from analysis.drawing.figures import (
    activation_drop,
    against_depth,
    against_size,
    behaviour_bars,
    cosine_histogram,
    dose_response,
    logit_lens,
    principal_components,
    shared_part,
    transforms,
    turns,
    value_vector_shift,
)
from analysis.drawing.marks import SMALLEST
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_table
from analysis.long_table.query import LongTable
from analysis.rows.principal_plane import PrincipalPlane
from analysis.rows.summary import Reservoir
from analysis.tables.layout import TableLayout

SITES = ("resid_mid", "resid_post")
MODEL = {
    "model": "Mistral-7B-v0.3",
    "family": "mistral",
    "num_parameters": 7_248_023_552,
    "num_layers": 4,
    "key": "k",
}
CELL = {"objective": "dpo", "condition": "plain"}


def material(rows, **more):
    known = {"objective", "condition", "template", "dose", "intervention"}
    axes = sorted({name for row in rows for name in row} & known)
    return Material(measured=LongTable.of(to_table([MODEL | row for row in rows], axes)), **more)


def number(metric, value, **more):
    return CELL | {"metric": metric, "value": value, "low": value, "high": value} | more


def place(layer, site="resid_mid", position="last"):
    return {"layer": layer, "depth": layer / 3, "site": site, "position": position}


def test_the_lens_reads_attention_and_mlp_of_a_layer_one_after_the_other():
    rows = [
        number(f"logit_lens_{model}", layer / 10, **place(layer, site))
        for model in ("base", "aligned")
        for layer in range(4)
        for site in SITES
    ]
    (drawing,) = logit_lens.drawings(material(rows))
    base, aligned = drawing.canvas.axes[0].lines
    assert list(base.get_xdata()) == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert list(aligned.get_ydata()) == [0, 0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3]


def lens_rows(ids, **models):
    """Rows of models whose value at every layer is given; the interval reaches a third above it."""
    return [
        number(f"logit_lens_{side}", value, **place(layer))
        | {"model": model, "high": 1.3 * value}
        | {"definition": f"v1: mean of the probability of the tokens {ids} as the next token"}
        for model, value in models.items()
        for side in ("base", "aligned")
        for layer in range(4)
    ]


def test_a_lens_shows_whole_intervals_of_every_model_however_small_its_values():
    (drawing,) = logit_lens.drawings(material(lens_rows("7510", small=1e-6, large=1e-3)))
    tops = {axis.get_title(): axis.get_ylim()[1] for axis in drawing.canvas.axes}
    assert 1.3e-6 <= tops["small"] <= 1.6e-6 and 1.3e-3 <= tops["large"] <= 1.6e-3


@pytest.mark.parametrize(
    ("ids", "label"),
    [
        ("7510", "P(token 7510)"),
        ("12, 34, 56, 78", "P(tokens 12, 34, 56, 78)"),
        ("1, 2, 3, 4, 5", "P(any of 5 chosen tokens)"),
    ],
)
def test_chosen_tokens_are_named_where_their_label_fits_beside_the_panel(ids, label):
    (drawing,) = logit_lens.drawings(material(lens_rows(ids, model=0.5)))
    (axis,) = drawing.canvas.axes
    assert axis.get_ylabel() == label and drawing.caption.startswith(label)


def test_bars_without_an_axis_of_objectives_are_not_said_to_be_of_the_base():
    rows = [{"metric": "toxic_mass", "value": 0.1, "low": 0.1, "high": 0.1}]
    known = {"k": Circumstances(base="b", aligned="a", objective="ipo")}
    (drawing,) = behaviour_bars.drawings(material(rows, circumstances=lambda: known))
    (legend,) = drawing.canvas.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ipo"]


def test_bars_of_the_aligned_model_are_the_base_less_the_drop():
    rows = [number("toxic_activation_drop", 0.3, **place(1, "mlp_act")) | {"low": 0.2, "high": 0.5}]
    rows += [number("toxic_activation_drop_base", 0.4, **place(1, "mlp_act"))]
    (drawing,) = activation_drop.drawings(material(rows))
    base, aligned = drawing.canvas.axes[0].patches
    assert (base.get_height(), aligned.get_height()) == pytest.approx((0.4, 0.1))
    ((bottom, top),) = drawing.canvas.axes[0].collections[0].get_segments()
    assert (bottom[1], top[1]) == pytest.approx((-0.1, 0.2))


def test_a_dose_is_a_number_and_what_has_no_share_is_stated():
    keys, gates = ({"intervention": name} for name in ("scale-keys", "set-gates"))
    rows = [number("patched_toxic_mass", 0.1 * x, dose=float(x), **keys) for x in (10, 2, 0)]
    rows += [number("patched_toxic_mass", 0.1 * x, dose=float(x), **gates) for x in (1, 0)]
    gone = {"value": None, "low": None, "high": None, "status": "undefined", "reason": "no gap"}
    rows += [number("recovered_toxic_mass", 1.0, dose=2.0, **keys)]
    rows += [number("recovered_toxic_mass", 0.0, dose=10.0, **keys) | gone]
    patched, recovered = dose_response.drawings(material(rows))
    scaled, gated = patched.canvas.axes
    assert (scaled.get_title(), gated.get_title()) == ("scale-keys", "set-gates")
    assert list(scaled.lines[0].get_xdata()) == [0, 2, 10]
    assert list(gated.lines[0].get_xdata()) == [0, 1]
    assert (
        recovered.canvas.legends[0].get_title().get_text() == "Not drawn: 1 undefined of 2 values."
    )
    assert list(against_size.drawings(material(rows))) == []


def test_a_recovered_share_starts_at_no_dose_and_its_band_never_stretches_the_axis():
    band = {"null_low": -9.0, "null_high": 0.2}
    rows = [
        number("recovered_toxic_mass", 0.8, dose=2.0, intervention=name) | band
        for name in ("scale-keys", "set-gates")
    ]
    (drawing,) = dose_response.drawings(material(rows))
    for panel in drawing.canvas.axes:
        assert list(panel.lines[0].get_xdata()) == [0, 2]
        assert list(panel.lines[0].get_ydata()) == [0, 0.8]
        assert [tick.get_text() for tick in panel.get_xticklabels()] == ["none", "2"]
        bottom, top = panel.get_ylim()
        assert bottom == 0 and 0.8 < top < 1
        shade = next(each for each in panel.collections if each.get_label() == "null: random")
        ends = shade.get_paths()[0].vertices
        assert (ends[:, 0].min(), ends[:, 1].min(), ends[:, 1].max()) == (0, -9.0, 0.2)


def test_legend_and_labels_of_one_panel_with_many_models_stand_apart():
    rows = [
        number("patched_perplexity", 9.0 - size, dose=dose, intervention="add-mean-offset")
        | {"model": f"Mistral-7B-v0.{size}", "num_parameters": 10**size}
        for size in range(3, 9)
        for dose in (0.0, 1.0)
    ]
    (drawing,) = dose_response.drawings(material(rows))
    canvas = drawing.canvas
    (panel,), (legend,) = canvas.axes, canvas.legends
    assert legend.get_window_extent().y1 <= panel.get_tightbbox().y0
    assert canvas.bbox.x0 <= legend.get_window_extent().x0
    assert legend.get_window_extent().x1 <= canvas.bbox.x1
    assert canvas.bbox.y0 <= legend.get_window_extent().y0


def test_a_sample_compared_with_itself_has_no_panel_and_no_law():
    rows = [
        number("mean_cosine", 1.0 if condition == "plain" else 0.5, **place(2))
        | {"condition": condition, "compared_by": "geometry", "num_parameters": 10**size}
        | {"model": f"m{size}", "low": 1.0 if condition == "plain" else 0.4}
        for size in range(5, 9)
        for condition in ("plain", "rot13")
    ]
    for module in (against_size, against_depth):
        (drawing,) = module.drawings(material(rows))
        (panel,) = drawing.canvas.axes
        assert "rot13" in panel.get_title()
        told = drawing.canvas.legends[0].get_title().get_text()
        assert "Left out: plain compared with itself." in told.replace("\n", " ")


def test_turns_are_drawn_in_their_order():
    rows = [number("turn_drift", 1 / t, **place(2, position=f"turn-{t}")) for t in (10, 2, 1)]
    (drawing,) = turns.drawings(material(rows))
    assert list(drawing.canvas.axes[0].lines[0].get_xdata()) == [1, 2, 10]


def test_a_heat_map_tells_missing_from_zero_and_from_noise():
    quiet = {"status": "below_noise_floor", "reason": "no more than the floor"}
    failed = {"value": None, "low": None, "high": None, "status": "job_failed", "reason": "why"}
    rows = [
        number("toxic_mass", 0.0),
        number("toxic_mass", 0.0, condition="rot13") | failed,
        number("toxic_mass", 0.3, condition="base64") | quiet,
    ]
    order = {"condition": ["plain", "rot13", "base64"]}
    (drawing,) = transforms.drawings(material(rows, layout=TableLayout(order=order)))
    assert [text.get_text() for text in drawing.canvas.axes[0].texts] == ["0", "×", "○"]
    (note,) = [text.get_text() for text in drawing.canvas.texts]
    assert note.startswith("× no number, ○ below the noise floor.")


def test_a_heat_map_has_no_column_without_a_number_and_none_wider_than_its_squares():
    lost = {"value": None, "low": None, "high": None, "status": "not_run", "reason": "why"}
    rows = [
        number(metric, value, condition=condition) | more
        for metric, value, more in (("toxic_mass", 0.000264, {}), ("toxic_rate", 0.0, lost))
        for condition in ("plain", "rot13")
    ]
    (drawing,) = transforms.drawings(material(rows))
    (panel,) = drawing.canvas.axes
    assert [label.get_text() for label in panel.get_xticklabels()] == ["toxic mass"]
    assert [text.get_text() for text in panel.texts] == ["3e-4", "3e-4"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00053, "5e-4"), (0.00094, "9e-4"), (0.00097, "0.001"), (0.0023, "0.002"), (0.012, "0.012")],
)
def test_a_small_number_in_a_square_is_off_by_a_digit_and_never_by_half(value, text):
    rows = [number("toxic_mass", value, condition=condition) for condition in ("plain", "rot13")]
    (drawing,) = transforms.drawings(material(rows))
    assert [square.get_text() for square in drawing.canvas.axes[0].texts] == [text, text]


def test_a_control_on_one_condition_has_no_heat_map_though_the_base_was_on_two():
    rows = [
        number("toxic_mass", 0.3, condition=condition, objective=objective)
        for objective, condition in (
            *((None, "plain"), (None, "rot13"), ("dpo", "plain"), ("dpo", "rot13")),
            ("sft", "plain"),
        )
    ]
    assert [drawing.name for drawing in transforms.drawings(material(rows))] == ["transforms-dpo"]


def test_a_heat_map_shows_no_toxicity_of_the_base_as_that_of_an_aligned_model():
    rows = [
        number(metric, value, condition=condition, objective=objective)
        for objective, value, conditions in (
            (None, 0.7, ("plain", "rot13", "base64")),
            ("sft", 0.2, ("plain", "rot13")),
        )
        for condition in conditions
        for metric in ("toxic_mass", "decode_loss_gap")
        if metric == "toxic_mass" or objective is None
    ]
    (drawing,) = transforms.drawings(material(rows))
    (panel,) = drawing.canvas.axes
    shown = sorted(text.get_text() for text in panel.texts)
    assert shown == ["0.20", "0.20", "0.70", "0.70", "0.70", "×"]


def shift_details(objectives):
    counts = np.zeros(200, dtype=int)
    counts[20] = 7
    lines = [
        {
            "value_layer": j,
            "median": -0.8,
            "null_low": -0.1,
            "null_high": 0.1,
            "counts": counts.tolist(),
            **place(layer),
        }
        for layer in range(4)
        for j in range(layer)
    ]
    table = pa.Table.from_pylist(lines)
    return [
        Detail(about=MODEL | CELL | {"objective": name, "seed": seed}, read=lambda: table)
        for name in objectives
        for seed in ("0", "1")
    ]


def test_histograms_are_of_the_layer_that_the_view_shows_and_one_seed_stands_for_all():
    found = shift_details(["dpo", "sft"])
    shown = material([number("toxic_mass", 0.1)], details=lambda name: found)
    first, second = value_vector_shift.drawings(shown)
    assert (first.name, second.name) == (
        "value_vector_shift-histograms-dpo",
        "value_vector_shift-histograms-sft",
    )
    (panel,) = first.canvas.axes
    assert panel.get_title() == "Mistral-7B-v0.3, layer 2"
    assert [label.get_text() for label in panel.get_yticklabels()] == ["0", "1"]
    assert "Shown for seed 0 only." in first.canvas.legends[0].get_title().get_text()


def cosines(site, bins, condition):
    counts = np.zeros(200, dtype=int)
    counts[bins] = 5
    table = pa.Table.from_pylist([{"counts": counts.tolist(), **place(2, site)}])
    return Detail(about=MODEL | CELL | {"condition": condition}, read=lambda: table)


def test_details_of_other_sites_than_the_one_shown_are_left_out():
    found = [
        cosines("mlp_act", slice(0, 10), "plain"),
        cosines("resid_mid", slice(190, 200), "plain"),
        cosines("resid_mid", slice(100, 104), "rot13"),
    ]
    shown = material([number("toxic_mass", 0.1)], details=lambda name: found)
    (drawing,) = cosine_histogram.drawings(shown)
    (panel,) = drawing.canvas.axes
    medians = [line.get_xdata()[0] for line in panel.lines]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["rot13", "plain"]
    assert medians == pytest.approx([0.02, 0.95])
    note = drawing.canvas.legends[0].get_title().get_text()
    assert note == "resid_mid, position last."


def test_the_plane_s_first_axis_is_the_mean_offset_and_its_second_what_varies_besides():
    rng = np.random.default_rng(0)
    base = np.zeros((40, 6), dtype=np.float32)
    base[:, 3] = rng.normal(size=40) * 5
    delta = np.zeros_like(base)
    delta[:, 0] = 2.0
    numbers = np.arange(40)
    kept = Reservoir(rows=delta, prompts=numbers, groups=numbers % 20, base=base)
    plane = PrincipalPlane.of(kept)
    assert plane is not None
    np.testing.assert_allclose(plane.aligned[:, 0] - plane.base[:, 0], 2.0)
    np.testing.assert_allclose(plane.base[:, 1], base[:, 3] - base[:, 3].mean(), atol=1e-5)
    assert plane.share == pytest.approx(1.0)
    assert PrincipalPlane.of(Reservoir(rows=delta * 0, prompts=numbers, groups=numbers)) is None
    lines = [{**line, **place(3)} for line in plane.lines()]
    detail = Detail(about=MODEL | CELL, read=lambda: pa.Table.from_pylist(lines))
    shown = material([number("toxic_mass", 0.1)], details=lambda name: [detail])
    (drawing,) = principal_components.drawings(shown)
    assert [len(line.get_xdata()) for line in drawing.canvas.axes[0].lines] == [40, 40]


def test_a_cut_keeps_what_does_not_depend_on_an_axis():
    rows = [{"a": "x", "objective": "dpo"}, {"a": "y", "objective": "sft"}]
    rows += [{"a": None, "objective": None}]
    found = list(cuts(rows, TableLayout()))
    assert [(cut.suffix, len(cut.rows)) for cut in found] == [("-dpo", 2), ("-sft", 1)]
    assert found[0].note == "Shown for a x only."


def test_no_letter_is_smaller_than_seven_points_and_no_figure_wider_than_a_page():
    nulls = {"null_low": -0.1, "null_high": 0.1, "floor": 0.05}
    rows = [
        number("mean_cosine", 0.5, num_parameters=size, model=f"Mistral-7B-v0.{size}", **place(2))
        | nulls
        for size in (10**6, 10**7, 10**8, 10**9)
    ]
    (drawing,) = against_size.drawings(material(rows))
    canvas = drawing.canvas
    assert canvas.get_figwidth() <= 6.75
    assert (
        min(
            text.get_fontsize()
            for text in canvas.findobj(lambda each: hasattr(each, "get_fontsize"))
        )
        >= SMALLEST
    )
    labels = [text.get_text() for text in canvas.legends[0].get_texts()]
    assert {"null: random", "noise floor"} <= set(labels)


def test_an_axis_that_no_panel_has_is_told_and_never_joined_into_one_line():
    """Seen: a line went up and down between two chat templates at each depth."""
    rows = [
        number("consistency", value, template=template, **place(layer))
        for template, value in (("none", 0.2), ("chat", 0.9))
        for layer in range(4)
    ]
    layout = TableLayout(order={"template": ["none", "chat"]})
    (drawing,) = against_depth.drawings(material(rows, layout=layout))
    assert "Shown for template none" in drawing.canvas.legends[0].get_title().get_text()
    (line,) = (line for line in drawing.canvas.axes[0].lines if len(line.get_xdata()) == 4)
    assert set(line.get_ydata()) == {0.2}
    bars = [
        number("toxic_rate", value, template=name) for name, value in (("none", 0.1), ("chat", 0.9))
    ]
    (drawing,) = behaviour_bars.drawings(material(bars, layout=layout))
    assert [bar.get_height() for bar in drawing.canvas.axes[0].patches] == [0.1]
    assert "Shown for template none" in drawing.canvas.legends[0].get_title().get_text()


def parts(inside, model=1, centred=False, **more):
    size = {"model": f"m{model}", "num_parameters": 10**model, "centred": centred}
    bands = {"null_low": 0.05, "null_high": 0.1, "base_null_low": 0.1, "base_null_high": 0.4}
    own = bands | {"low": inside - 0.1, "high": inside + 0.1} | size | place(2) | more
    return [
        number("energy_inside_sft", inside, **own),
        number("energy_inside_sft_ceiling", 0.95, **size, **place(2), **more),
    ]


def test_both_parts_stand_on_each_other_to_one_with_bands_and_ceiling():
    rows = [*parts(0.7), *parts(0.5, model=2), *parts(0.2, centred=True)]
    rows += parts(0.1, model=2, objective="dpo-shuffled")
    zero, mean = shared_part.drawings(material(rows))
    assert (zero.name, mean.name) == ("shared-part-about-zero", "shared-part-about-mean")
    dpo, shuffled = zero.canvas.axes
    assert (dpo.get_title(), shuffled.get_title()) == ("dpo", "dpo-shuffled")
    heights = [bar.get_height() for bar in dpo.patches]
    assert heights == pytest.approx([0.7, 0.5, 0.3, 0.5])
    assert [bar.get_y() for bar in dpo.patches] == pytest.approx([0, 0, 0.7, 0.5])
    ends = {each.get_label(): each.get_segments() for each in dpo.collections}
    assert [tuple(end[:, 1]) for end in ends["null: base covariance"]] == [(0.1, 0.4)] * 2
    assert [tuple(end[:, 1]) for end in ends["ceiling"]] == [(0.95, 0.95)] * 2
    missing = [line for line in shuffled.lines if str(line.get_label()).endswith("missing")]
    assert [list(line.get_xdata()) for line in missing] == [[0]]  # the smaller model: a cross


def test_without_both_parts_nothing_is_drawn():
    gone = {"value": None, "low": None, "high": None, "status": "not_run", "reason": "why"}
    rows = [number("toxic_mass", 0.1), parts(0.5)[0] | gone]
    assert list(shared_part.drawings(material(rows))) == []
