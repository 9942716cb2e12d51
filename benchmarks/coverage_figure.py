"""Draw what `coverage.csv` holds: coverage, bias and width of every interval over the grid.

    python -m benchmarks.coverage_figure

One line per value. Over all cells of a range of N / d: from the least to the largest number, with
a mark at the median. Cells of fewer than 40 prompts or 25 draws are left out; of those with fewer
than 20 answers the share refused is drawn alone. Below it stands how many draws a cell rests on:
the least of many cells of few draws lies below what an interval truly covers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.marks import MARKERS, OKABE_ITO, PAGE_WIDTH, style
from benchmarks.coverage_results import FEW_PROMPTS, NORMAL_WIDTH, RESULTS, Result, read_results

OUT = Path(__file__).parent.parent / "docs" / "assets" / "coverage.svg"
RANGES = (("N / d < 0.5", 0.0, 0.5), ("0.5 to 1", 0.5, 1.01), ("N / d > 1", 1.01, np.inf))
LINE_HEIGHT = 0.155
"""Inches of one value."""
FEW_DRAWS = 25
"""Cells of fewer draws are not drawn: the least of many would be chance alone."""
FEW_ANSWERS = 20
"""Of cells with fewer answers nothing but the share refused is drawn."""
MOST_BIAS = 3.0
MOST_WIDTH = 3.0


def judged(results: Iterable[Result]) -> list[Result]:
    """Return the results that are judged: known truth, enough prompts and draws."""
    return [
        r
        for r in results
        if np.isfinite(r.truth) and r.prompts >= FEW_PROMPTS and r.draws >= FEW_DRAWS
    ]


def coverage_of(result: Result) -> float:
    """Return the share of intervals that hold the truth; NaN where few were given."""
    return result.covered / result.answered if result.answered >= FEW_ANSWERS else float("nan")


def bias_of(result: Result) -> float:
    """Return the bias in standard deviations of the estimate, cut at the figure's edge."""
    is_told = result.spread and result.answered >= FEW_ANSWERS
    bias = result.bias / result.spread if is_told else float("nan")
    return float(np.clip(bias, -MOST_BIAS, MOST_BIAS))


def width_of(result: Result) -> float:
    """Return the median width over the central 95 % of the estimate, cut at the figure's edge."""
    is_told = result.spread and result.answered >= FEW_ANSWERS
    width = result.width / (NORMAL_WIDTH * result.spread) if is_told else float("nan")
    return min(width, MOST_WIDTH)


def refused_of(result: Result) -> float:
    """Return the share of draws without an interval."""
    return 1 - result.answered / result.draws


PANELS: tuple[
    tuple[str, Callable[[Result], float], tuple[float, float], tuple[float, ...]], ...
] = (
    ("share of intervals\nthat hold the truth", coverage_of, (0.5, 1.02), (0.9, 0.95)),
    ("bias, in standard\ndeviations", bias_of, (-3.1, 3.1), (0.0,)),
    ("width over that of\nan ideal interval", width_of, (0.0, 3.1), (1.0, 2.0)),
    ("share of draws\nrefused", refused_of, (-0.05, 1.05), (0.0,)),
)
"""Heading, number, limits and guides of every panel."""


def draw(results: list[Result]) -> Figure:
    """Draw the figure."""
    names = sorted({result.metric for result in results})
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 0.9 + LINE_HEIGHT * len(names)), layout="constrained")
        axes = figure.subplots(1, len(PANELS), sharey=True, width_ratios=(1.4, 1.2, 1.2, 0.7))
        for panel, (heading, number_of, limits, guides) in zip(axes, PANELS, strict=True):
            _draw_panel(panel, names, results, number_of)
            panel.set_title(heading, fontsize=7)
            panel.set_xlim(*limits)
            for guide in guides:
                panel.axvline(guide, color="#888888", linewidth=0.6, zorder=0)
        axes[0].set_yticks(range(len(names)), names)
        axes[0].set_ylim(len(names) - 0.5, -0.5)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(
            *(handles, labels),
            loc="outside lower center",
            ncols=len(RANGES),
            title=draws_of(results),
            title_fontsize=6.5,
        )
    return figure


def draws_of(results: list[Result]) -> str:
    """Say how many draws the cells rest on."""
    draws = [result.draws for result in results]
    widths = sorted({result.d for result in results})
    return (
        f"d = {', '.join(f'{width:,}' for width in widths)}; a value in a cell rests on "
        f"{min(draws)} to {max(draws)} draws, half of them on {int(np.median(draws))} or more"
    )


def _draw_panel(
    panel: Axes, names: list[str], results: list[Result], number_of: Callable[[Result], float]
) -> None:
    for place, (label, low, high) in enumerate(RANGES):
        middles, lines = [], []
        for line, name in enumerate(names):
            numbers = [
                number_of(r) for r in results if r.metric == name and low <= r.rows / r.d < high
            ]
            numbers = [number for number in numbers if np.isfinite(number)]
            if not numbers:
                continue
            at = line + 0.25 * (place - 1)
            panel.plot([min(numbers), max(numbers)], [at, at], color=OKABE_ITO[place], linewidth=1)
            middles.append(float(np.median(numbers)))
            lines.append(at)
        panel.plot(
            *(middles, lines),
            linestyle="none",
            marker=MARKERS[place],
            markersize=2.5,
            color=OKABE_ITO[place],
            label=label,
        )
    panel.tick_params(axis="y", length=0)


def main() -> None:
    """Draw what a file holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    results = judged(read_results(chosen.results).values())
    with style():
        draw(results).savefig(
            chosen.out, metadata={"Date": None} if chosen.out.suffix == ".svg" else None
        )
    print(f"{chosen.out}: {len(results)} numbers")


if __name__ == "__main__":
    main()
