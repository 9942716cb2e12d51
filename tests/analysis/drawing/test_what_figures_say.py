"""What is said of a figure is true of what is drawn in it; long names leave room for numbers."""

import re

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from analysis.drawing.figure import Material
from analysis.drawing.figures import (
    against_size,
    behaviour_bars,
    cosine_histogram,
    displacement,
    dose_response,
    transforms,
)
from analysis.drawing.marks import PAGE_WIDTH, finish, panels, style, wrapped
from analysis.long_table.columns import to_table
from analysis.long_table.query import LongTable

LONG = "prompts_of_the_second_half_of_the_year_without_any_swear_words_cut_at_forty_tokens"
AXES = ["objective", "condition", "dose", "intervention"]


def material(rows):
    model = {"family": "gpt2", "num_layers": 4, "num_parameters": 1, "key": "k", "model": "m"}
    return Material(measured=LongTable.of(to_table([model | row for row in rows], AXES)))


def of_sizes(metric, sizes, **more):
    """Return a number of one metric at each size."""
    return [
        {"metric": metric, "value": 0.1 * size, "low": 0.09 * size, "high": 0.11 * size}
        | {"model": f"m{size}", "num_parameters": size, "objective": "dpo", "condition": "plain"}
        | more
        for size in sizes
    ]


PLACE = {"site": "resid_mid", "layer": 3, "depth": 1.0, "position": "last"}
LAW, THIN, RANDOM, BASE, FLOOR, DEPTH = (
    "power laws a · size^b",
    "thin lines join",
    "what random directions give",
    "base activations' own covariance gives",
    "noise floor of the base",
    "at one relative depth",
)


def notes_of(canvas):
    """Return the texts of a figure's legend titles and labels."""
    return [text.get_text().replace("\n", " ") for text in canvas.findobj(Text)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (of_sizes("toxic_mass", [1, 2, 3]), [THIN]),
        (of_sizes("toxic_mass", [1, 2, 3, 4]), [LAW]),
        (of_sizes("toxic_mass", [1, 2, 3, 4]) + of_sizes("toxic_mass", [5, 6], family="llama"), 
         [LAW, THIN]),
        (of_sizes("toxic_mass", [1, 2, 3], value=-0.1, low=-0.2, high=0.0), [THIN]),
        (of_sizes("chosen_logp_change", [1, 2, 3, 4], value=-0.1, low=-0.2, high=0.0), [THIN]),
        (of_sizes("preference_accuracy", [1, 2, 3, 4], value=1.0, low=0.4, high=1.0), [THIN]),
        (of_sizes("relative_norm", [1, 2], floor=0.05, **PLACE), [DEPTH, THIN, FLOOR]),
        (of_sizes("mean_cosine", [1, 2], null_low=-0.1, null_high=0.1, **PLACE),
         [DEPTH, THIN, RANDOM]),
        (of_sizes("mean_cosine", [1, 2], base_null_low=-0.1, base_null_high=0.1, **PLACE),
         [DEPTH, THIN, BASE]),
    ],
)  # fmt: skip
def test_a_caption_against_size_speaks_of_what_is_drawn_and_of_nothing_else(rows, told):
    (drawing,) = against_size.drawings(material(rows))
    said = [part for part in (LAW, THIN, RANDOM, BASE, FLOOR, DEPTH) if part in drawing.caption]
    assert sorted(said) == sorted(told)
    assert drawing.caption.endswith(".")
    assert "fewer" not in drawing.caption, "no family of four sizes is said to have fewer"
    assert any("No power law" in text for text in notes_of(drawing.canvas)) == (LAW not in told)


def test_models_of_one_size_are_told_apart_by_their_names():
    """Revisions of one model all were `gpt2 0.0010 M`."""
    sizes = [("step1000", 1000), ("step143000", 1000), ("larger", 2000)]
    rows = [
        {"metric": "toxic_mass", "value": 0.1, "low": 0.1, "high": 0.2, "objective": "dpo"}
        | {"condition": "plain", "model": model, "num_parameters": size}
        for model, size in sizes
    ]
    (drawing,) = behaviour_bars.drawings(material(rows))
    (axis,) = drawing.canvas.axes
    ticks = [label.get_text() for label in axis.get_xticklabels()]
    assert ticks == ["step1000", "step143000", "gpt2 0.0020 M"]


@pytest.mark.parametrize("others", [["foreign"], []])
@pytest.mark.parametrize("figure", [against_size, behaviour_bars, displacement])
def test_a_figure_of_one_of_two_stages_says_which(figure, others):
    """Held-out pairs and foreign ones: bars of one of them stood for both, without a word."""
    rows = [
        row
        for stage in ("achieved", *others)
        for metric in displacement.SIDES
        for row in of_sizes(metric, [1, 2], compared_by=stage)
    ]
    (note,) = {
        told.group() if told else ""
        for drawing in figure.drawings(material(rows))
        for told in [re.search("As stage[^.]*[.]", " ".join(notes_of(drawing.canvas)))]
    }
    assert note == ("As stage achieved measured it; not shown: foreign." if others else "")


@pytest.mark.parametrize("has_null", [True, False])
def test_a_caption_against_dose_speaks_of_hatching_where_there_is_any(has_null):
    rows = [
        {"metric": "patched_toxic_mass", "value": 0.1, "low": 0.1, "high": 0.1, "dose": dose}
        | {"objective": "dpo", "condition": "plain", "intervention": "project-out"}
        | ({"null_low": 0.0, "null_high": 0.2} if has_null else {})
        for dose in (0.0, 1.0)
    ]
    (drawing,) = dose_response.drawings(material(rows))
    hatched = any(part.get_hatch() for axis in drawing.canvas.axes for part in axis.collections)
    assert hatched == has_null == ("Hatched" in drawing.caption)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.9999, "0.999"), (0.9952, "0.995"), (-0.9999, "-0.999"), (0.994, "0.99"),
     (-1.0, "-1"), (1.04, "1.0"), (0.0, "0"), (0.0004, "4e-4")],
)  # fmt: skip
def test_a_square_never_shows_as_one_what_is_not(value, text):
    assert transforms._brief(value) == text


def test_long_names_of_conditions_leave_the_squares_their_room():
    rows = [
        {"metric": metric, "value": 0.1 + at, "low": at, "high": 1 + at, "objective": "dpo"}
        | {"condition": condition, "model": model}
        for metric in transforms.METRICS
        for at, condition in enumerate((LONG, "plain"))
        for model in ("a", "b")
    ]
    (drawing,) = transforms.drawings(material(rows))
    renderer = FigureCanvasAgg(drawing.canvas).get_renderer()
    for axis in drawing.canvas.axes:
        square = axis.get_window_extent(renderer).width / len(transforms.METRICS)
        assert all(text.get_window_extent(renderer).width < square for text in axis.texts)
    assert_apart(drawing.canvas.axes[0].get_yticklabels(), renderer)


def test_long_names_of_histograms_do_not_run_into_each_other():
    lines = [
        {"model": "m", "family": "gpt2", "num_parameters": 1, "layer": 3, "condition": condition}
        | {"counts": [1] * 200}
        for condition in (LONG, LONG[::-1])
    ]
    canvas = cosine_histogram.draw(lines)
    renderer = FigureCanvasAgg(canvas).get_renderer()
    (axis,) = canvas.axes
    assert axis.get_window_extent(renderer).width > 0.4 * canvas.bbox.width
    assert_apart(axis.get_yticklabels(), renderer)


def test_a_long_name_in_a_legend_stays_within_the_figure():
    with style():
        figure, (axis,) = panels([LONG])
        axis.plot([0, 1], label=LONG * 2)
        finish(figure, [axis])
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in (*figure.legends[0].get_texts(), axis.title):
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    (text,) = figure.legends[0].get_texts()
    assert text.get_text().replace("\n", "") == LONG * 2, "nothing of it is lost"


def test_a_word_that_is_too_long_is_cut_behind_a_mark_where_it_has_one():
    assert wrapped("gpt2_large_aligned_by_dpo", 0.8) == "gpt2_large_\naligned_by_dpo"
    assert wrapped("δ of resid_mid at last", PAGE_WIDTH) == "δ of resid_mid at last"
    assert "".join(wrapped("x" * 50, 0.8).split("\n")) == "x" * 50


def assert_apart(labels, renderer):
    """Assert that no two of these lie over each other."""
    boxes = sorted((label.get_window_extent(renderer) for label in labels), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in zip(boxes, boxes[1:], strict=False))


def test_names_below_panels_do_not_run_into_each_other():
    lines = [
        {"model": model, "family": "gpt2", "num_parameters": 1, "layer": 3, "condition": LONG}
        | {"counts": [1] * 200}
        for model in "abc"
    ]
    canvas = cosine_histogram.draw(lines)
    renderer = FigureCanvasAgg(canvas).get_renderer()
    boxes = [axis.xaxis.label.get_window_extent(renderer) for axis in canvas.axes]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
