"""Figures rendered in a second process: the same bytes, and none missing whatever happens to it."""

import os
import signal

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.drawing.marks import style
from jobs.comparing.figure_rendering import FigureRendering, render_here


class OwnPatch(Rectangle):
    """A study's own mark: pickled by reference, so only where its module is."""

    def __reduce__(self):
        return _make_here, (os.getpid(),)


def _make_here(maker: int) -> OwnPatch:
    """Make the mark again, in the process that pickled it alone."""
    if os.getpid() != maker:
        raise ImportError("no such module in this process")
    return OwnPatch((0, 0), 1, 1)


def drawn(title, *, callback=None):
    with style():
        canvas = Figure(figsize=(2, 2))
        axes = canvas.add_subplot()
        axes.plot([0, 1], [1, 0])
        axes.set_title(title)
        if callback is not None:
            axes.format_xdata = callback
    return canvas


@pytest.fixture
def files(tmp_path):
    """A function: name -> the files of a figure in a folder of that name."""

    def make(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return [tmp_path / name / f"figure.{suffix}" for suffix in ("svg", "pdf")]

    return make


@pytest.fixture
def expected(files):
    """Bytes as this process renders them."""
    render_here(drawn("as here"), files("here"))
    return [file.read_bytes() for file in files("here")]


def test_a_second_process_renders_the_same_bytes(files, expected, monkeypatch):
    from analysis.drawing import figure

    with FigureRendering(beside=True) as rendering:
        monkeypatch.setattr(figure, "to_bytes", None)  # not here
        rendering.render(drawn("as here"), files("beside"))
    assert [file.read_bytes() for file in files("beside")] == expected


def test_without_a_second_process_all_is_rendered_here(files, expected):
    with FigureRendering(beside=False) as rendering:
        rendering.render(drawn("as here"), files("alone"))
        assert [file.read_bytes() for file in files("alone")] == expected


def test_a_second_process_that_is_killed_leaves_nothing_unrendered(files, expected):
    with FigureRendering(beside=True) as rendering:
        rendering._process.send_signal(signal.SIGKILL)
        rendering._process.wait()
        rendering.render(drawn("as here"), files("killed"))
    assert [file.read_bytes() for file in files("killed")] == expected


def test_a_figure_that_cannot_leave_this_process_is_rendered_here(files, expected):
    with FigureRendering(beside=True) as rendering:
        rendering.render(drawn("as here", callback=lambda x: x), files("callback"))
        own = drawn("as here")
        own.axes[0].own = OwnPatch((0, 0), 1, 1)
        rendering.render(own, files("own"))
    assert [file.read_bytes() for file in files("callback")] == expected
    assert [file.read_bytes() for file in files("own")] == expected


def test_what_is_wrong_with_a_figure_is_raised_as_it_would_be_here(files):
    canvas = drawn(r"$\nonsense$")
    with pytest.raises(ValueError, match="nonsense"), FigureRendering(beside=True) as rendering:
        rendering.render(canvas, files("wrong"))


def test_a_comparison_that_fails_ends_the_second_process(files):
    with pytest.raises(KeyError), FigureRendering(beside=True) as rendering:
        raise KeyError("a figure")
    assert rendering._process.returncode == -signal.SIGKILL
