import warnings

import pytest

from analysis.drawing.figure import to_bytes
from analysis.drawing.figures import against_depth, against_size, behaviour_bars
from analysis.drawing.row_values import value_limits
from analysis.long_table.columns import to_rows
from analysis.long_table.seeds import over_seeds
from analysis.long_table.selection import Selection, resolve, select
from analysis.tables.layout import TableLayout, blank_name

LAYOUT = TableLayout(order={"condition": ["plain", "rot13", "base64"]})


@pytest.fixture(autouse=True)
def no_warning_is_acceptable():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def chosen(study, metric, depths=(0.75,)):
    rows = [row for row in to_rows(study) if row["metric"] == metric]
    return over_seeds(select(rows, resolve(Selection(depths=depths), rows)))


def drawn(study):
    return [
        against_size.draw(chosen(study, "offset_norm"), layout=LAYOUT),
        against_depth.draw(chosen(study, "consistency", None), layout=LAYOUT),
        behaviour_bars.draw(chosen(study, "toxic_mass"), layout=LAYOUT),
    ]


@pytest.fixture(scope="module")
def figures(study):
    return drawn(study)


def test_equal_figures_give_equal_bytes_in_every_format(study, figures):
    again = drawn(study)
    for first, second in zip(figures[1:], again[1:], strict=True):
        assert to_bytes(first, "svg") == to_bytes(second, "svg")
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")):
        data = to_bytes(figures[0], suffix)
        assert data.startswith(start)
        assert data == to_bytes(again[0], suffix)
        assert suffix != ".png" or b"matplotlib" not in data[:500].lower()


def test_a_pdf_holds_one_font(study):
    canvas = against_depth.draw(chosen(study, "consistency", None), label="efflux of a flow")
    assert to_bytes(canvas, "pdf").count(b"/Type /FontDescriptor") == 1


def test_another_format_is_refused(figures):
    with pytest.raises(ValueError, match="png, pdf, svg, not 'jpeg'"):
        to_bytes(figures[0], "jpeg")


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_size_is_logarithmic_and_a_fit_of_four_sizes_is_called_descriptive(figures):
    axis = figures[0].axes[-1]
    assert (axis.get_xscale(), axis.get_yscale(), axis.get_xlabel()) == ("log", "log", "parameters")
    assert [panel.get_title() for panel in figures[0].axes] == ["plain", "rot13", "base64"]
    assert len(texts(figures[0])) == 6
    assert all("gpt2: b = " in text and "n = 4*" in text for text in texts(figures[0]))


def test_what_an_exponent_does_not_know_is_marked_and_told_below(study):
    rows = [row for row in chosen(study, "consistency", None) if row["family"] == "gpt2"]
    figure = against_size.draw(rows)
    assert all(text.endswith("‡") for text in texts(figure))
    below = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert "‡ The errors that sizes share are not in the interval." in below and "†" not in below
    widths = {"gpt2-33k": 64, "gpt2-110k": 16, "gpt2-240k": 96, "gpt2-620k": 32}
    for row in rows:
        row |= {"left_out": (row["value"],) * 20, "d_model": widths[row["model"]]}
        row["value"] = row["num_parameters"] ** 0.3
    figure = against_size.draw(rows)
    assert all(text.endswith("n = 4*†") for text in texts(figure))
    below = figure.legends[0].get_title().get_text().replace("\n", " ")
    assert "† Over parameters, parameters without embeddings and width exponents disagree" in below


@pytest.mark.parametrize("values", [(1, 2, 3), (0.5, 1.0, 2.0), (False, True, None)])
def test_conditions_that_are_numbers_or_truths_have_their_points(study, values):
    rows = chosen(study, "offset_norm")
    named = dict(zip(("plain", "rot13", "base64"), values, strict=True))
    figure = against_size.draw([row | {"condition": named[row["condition"]]} for row in rows])
    assert len(figure.axes) == 3
    assert all(values_in(axis) for axis in figure.axes)


def test_values_that_are_not_all_positive_are_drawn_on_a_linear_scale(study):
    rows = chosen(study, "offset_norm")
    rows[0] |= {"value": -0.1, "low": -0.2, "high": 0.0}
    assert against_size.draw(rows).axes[0].get_yscale() == "linear"


def test_depth_has_one_line_per_model_in_every_panel(figures):
    titles = [axis.get_title() for axis in figures[1].axes]
    assert titles == [f"{c}, {o}" for c in ("dpo", "sft") for o in ("plain", "rot13", "base64")]
    (legend,) = figures[1].legends
    assert [text.get_text() for text in legend.get_texts()][0] == "gpt2-33k (0.033 M)"
    assert len(legend.get_texts()) == 6


def values_in(axis):
    """Return the heights of all bars and points of a panel."""
    heights = [bar.get_height() for bar in axis.patches]
    return heights + [value for line in axis.lines for value in line.get_ydata()]


def test_behaviour_marks_a_missing_model_and_does_not_draw_it_as_zero(study, figures):
    (legend,) = figures[2].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        blank_name("objective", True, LAYOUT),
        "dpo",
        "sft",
        "dpo, missing",
    ]
    axis = figures[2].axes[0]
    plain = [row for row in chosen(study, "toxic_mass") if row["condition"] == "plain"]
    measured = [row["value"] for row in plain if row["value"] is not None]
    assert sorted(bar.get_height() for bar in axis.patches) == sorted(measured)
    crosses = [line for line in axis.lines if line.get_marker() == "x"]
    assert [len(line.get_xdata()) for line in crosses] == [1], "llama-130k under DPO"


def test_no_text_leaves_the_figure(figures):
    for figure in figures:
        figure.draw_without_rendering()
        frame = figure.bbox
        found = [axis.get_tightbbox() for axis in figure.axes]
        for box in [*found, *(legend.get_window_extent() for legend in figure.legends)]:
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1
            assert frame.y0 <= box.y0 and box.y1 <= frame.y1


def test_an_interval_of_two_seeds_does_not_flatten_the_others():
    rows = to_rows(
        [
            {"metric": "m", "value": 1.0, "low": 0.9, "high": 1.1},
            {"metric": "m", "value": 2.0, "low": -90.0, "high": 94.0},
        ]
    )
    bottom, top = value_limits(rows, log=False)
    assert bottom == 0 and 2 < top < 3.5
    bottom, top = value_limits(rows, log=True)
    assert 0.3 < bottom < 0.9 and 2 < top < 6


def test_figures_of_nothing_and_of_one_number_can_be_drawn():
    number = {"model": "m", "family": "f", "num_parameters": 10, "metric": "x", "value": 0.0}
    of_model, of_layer = to_rows([number]), to_rows([{**number, "layer": 0, "depth": 0.0}])
    for module, one in (
        (against_size, of_model),
        (against_depth, of_layer),
        (behaviour_bars, of_model),
    ):
        nothing, something = module.draw([]), module.draw(one)
        assert not any(values_in(axis) for axis in nothing.axes)
        assert 0.0 in [value for axis in something.axes for value in values_in(axis)]
        for figure in (nothing, something):
            assert to_bytes(figure, "png").startswith(b"\x89PNG")
