"""The figure along answers: depths of both ways of counting, panels, and what it leaves out."""

import numpy as np
import pytest

from analysis.drawing.figure import Material
from analysis.drawing.figures import into_the_answer
from analysis.long_table.columns import to_table
from analysis.long_table.query import LongTable

MODEL = {"model": "a", "family": "gpt2", "num_parameters": 10**6, "num_layers": 4, "key": "k"}


def material(*rows):
    full = [{**MODEL, "objective": "dpo", "prefill": None, **row} for row in rows]
    return Material(measured=LongTable.of(to_table(full, ["objective", "prefill"])))


def row(metric, value, **more):
    return {"metric": metric, "value": value, "low": value, "high": value, **more}


def lines(drawing):
    """Return depth and value of the points of the first panel's line."""
    line = drawing.canvas.axes[0].lines[0]
    return (np.asarray(line.get_xdata()) - 1).tolist(), np.asarray(line.get_ydata()).tolist()


def test_the_first_output_and_the_first_token_are_at_depth_zero():
    place = {"site": "resid_mid", "layer": 2, "depth": 0.75}
    rows = [row("relative_norm", 1 / (1 + k), position=f"response-{k}", **place) for k in (0, 1, 4)]
    rows += [row("token_kl", 2.0 / k, position=f"output-{k}") for k in (1, 2, 5)]
    kl, norm = into_the_answer.drawings(material(*rows))
    assert (kl.name, norm.name) == ("token_kl-into-the-answer", "relative_norm-into-the-answer")
    assert lines(kl) == ([0, 1, 4], pytest.approx([2.0, 1.0, 0.4]))
    assert lines(norm) == ([0, 1, 4], pytest.approx([1.0, 0.5, 0.2]))


def test_begun_replies_are_drawn_by_their_length():
    rows = [row("toxic_mass", k / 10, prefill=f"prefill-{k}", position="last") for k in (0, 2, 8)]
    (drawing,) = into_the_answer.drawings(material(*rows))
    assert lines(drawing) == ([0, 2, 8], pytest.approx([0.0, 0.2, 0.8]))
    assert "given" in drawing.canvas.axes[0].get_xlabel()


def test_of_many_tokens_the_first_are_all_drawn_and_then_some():
    rows = [row("token_kl", 1.0 / k, position=f"output-{k}") for k in range(1, 130)]
    (drawing,) = into_the_answer.drawings(material(*rows))
    depths, _ = lines(drawing)
    assert depths[:8] == list(range(8)) and len(depths) < 30 and depths[-1] > 100


def test_one_token_alone_makes_no_drawing():
    one = row("token_kl", 1.0, position="output-1")
    assert list(into_the_answer.drawings(material(one))) == []
