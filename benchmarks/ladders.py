"""Do exponents over sizes hold an exponent that was planted? Ladders of models, end to end.

    nice -n 19 python -m benchmarks.ladders --draws 200
    python -m benchmarks.ladders --report

A ladder is seven widths from 16 to 256; those of four and five sizes are parts of it. Every model
answers the same prompts, and half of what a prompt does to a row it does in every model: errors of
sizes are correlated. `wider` ladders have 300 prompts at every width, `longer` ones eight
per dimension. The metric's true value is a power of the width, exactly; with scatter every model is
off that by a normal number of its own (in the logarithm), and the truth is the exponent of the law
that models scatter about. Rows go through the metric's `measure`, measurements through the long
table and the scaling table, whose cell is judged.

Results are one line of JSON for each draw of a ladder, so that a run may be killed: the next begins
where the file ends.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import brentq

from analysis.long_table.columns import to_table
from analysis.measurement import Measurement, Row
from analysis.metric import METRICS
from analysis.rows.summary import GroupSummary, Sample
from analysis.tables.layout import TableLayout
from analysis.tables.scaling_table import scaling_table

RESULTS = Path(__file__).parent / "results" / "ladders.jsonl"
WIDTHS = (16, 24, 40, 64, 100, 160, 256)
PARTS = {4: (0, 2, 4, 6), 5: (0, 2, 3, 4, 6), 7: tuple(range(7))}
"""Number of sizes -> places in WIDTHS."""
NUM_GROUPS, NUM_PROMPTS, PROMPTS_PER_DIMENSION = 20, 300, 8
SHARED = 0.5**0.5
"""Correlation with which a prompt does the same in every model."""
SCATTER = 0.1
"""Standard deviation of a model's own deviation from the law, in the logarithm."""
LAYERS = 12
BLOCK = 20
"""Draws of a ladder that are measured, and fitted in one table, at a time."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """What is planted."""

    metric: str
    """One of PLANTED."""
    growth: str
    """`wider`: as many prompts at every width; `longer`: prompts grow with the width."""
    exponent: float
    """Of the metric's true value over the width."""
    scatter: float
    """Of models about the law, in the logarithm."""

    def truth(self, width: int) -> float:
        """Return the law's value at a width; chosen so that the metric can reach it."""
        anchor, value = {
            "consistency": (256, 0.4),
            "relative_norm": (16, 0.1),
            "participation_ratio": (16, 4.0),
        }[self.metric]
        return value * (width / anchor) ** self.exponent

    def num_prompts(self, width: int) -> int:
        """Return the prompts at a width."""
        return NUM_PROMPTS if self.growth == "wider" else PROMPTS_PER_DIMENSION * width


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompts:
    """What all models of a draw share: the prompts, in the order in which ladders take them."""

    groups: Int64[np.ndarray, " prompts"]
    """Group of each."""
    pull: Float64[np.ndarray, " prompts"]
    """A standard normal number of each."""
    rows: Float64[np.ndarray, "prompts d"]
    """Standard normal coordinates of each; a model takes the first of them."""


def all_ladders() -> list[Ladder]:
    """Return every ladder of the benchmark, the cheapest first."""
    metrics, growths = ("relative_norm", "consistency", "participation_ratio"), ("wider", "longer")
    return [
        Ladder(metric=metric, growth=growth, exponent=exponent, scatter=scatter)
        for metric, growth, scatter, exponent in product(
            metrics, growths, (0.0, SCATTER), (0.0, 0.5, 1.0)
        )
    ]


def draw_prompts(rng: np.random.Generator) -> Prompts:
    """Draw the prompts of one draw."""
    most = PROMPTS_PER_DIMENSION * max(WIDTHS)
    return Prompts(
        groups=rng.integers(NUM_GROUPS, size=most),
        pull=rng.standard_normal(most),
        rows=rng.standard_normal((most, max(WIDTHS))),
    )


def planted_sample(
    metric: str, truth: float, width: int, prompts: Prompts, rng: np.random.Generator
) -> Sample:
    """Draw one row per prompt from a population whose metric is exactly `truth`."""
    number = len(prompts.groups)
    apart = (1 - SHARED**2) ** 0.5
    pull = SHARED * prompts.pull + apart * rng.standard_normal(number)
    rows = SHARED * prompts.rows[:, :width] + apart * rng.standard_normal((number, width))
    rows = PLANTED[metric](rows, pull, truth)
    summaries = {
        int(group): GroupSummary.from_rows(rows[at], np.ones(at.sum()), np.flatnonzero(at), True)
        for group in np.unique(prompts.groups)
        for at in [prompts.groups == group]
    }
    return Sample(groups=summaries, reservoir=None)


def _with_norms(rows: np.ndarray, pull: np.ndarray, median: float) -> np.ndarray:
    """Give rows norms whose median is known, beside base rows of length 1."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(median * np.exp(0.5 * pull)[:, None] * units)


def _with_consistency(rows: np.ndarray, pull: np.ndarray, cosine: float) -> np.ndarray:
    """Turn rows to a shared axis: E[a]^2 is the mean cosine of two unit rows a m + w, w about m."""
    along = cosine**0.5 * (1 + 0.3 * np.sign(pull))
    across = rows.copy()
    across[:, 0] = 0.0
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    turned = np.sqrt(1 - np.square(along))[:, None] * across
    turned[:, 0] = along
    return np.asarray(turned)


def _with_spectrum(rows: np.ndarray, pull: np.ndarray, ratio: float) -> np.ndarray:
    """Give rows eigenvalues that fall geometrically, their participation ratio as wanted."""
    places = np.arange(rows.shape[1])

    def ratio_at(fall: float) -> float:
        values = fall**places
        return float(values.sum() ** 2 / np.square(values).sum())

    fall = brentq(lambda q: ratio_at(q) - ratio, 1e-6, 1.0)
    heavy = np.exp(0.3 * pull - 0.09)  # E[heavy^2] = 1: the covariance stays what it is
    return np.asarray(heavy[:, None] * rows * np.sqrt(fall**places))


PLANTED = {
    "relative_norm": _with_norms,
    "consistency": _with_consistency,
    "participation_ratio": _with_spectrum,
}
"""Metric -> what makes rows of which it is known, of normal rows and a number per prompt."""


def measure_ladder(ladder: Ladder, draw: int) -> list[Row]:
    """Measure every width of one draw, as rows of the long table."""
    rng = np.random.default_rng([draw, int(10 * ladder.exponent)])
    prompts = draw_prompts(rng)
    off = ladder.scatter * rng.standard_normal(len(WIDTHS))
    rows: list[Row] = []
    for width, deviation in zip(WIDTHS, off, strict=True):
        taken = slice(ladder.num_prompts(width))
        own = replace(
            prompts,
            groups=prompts.groups[taken],
            pull=prompts.pull[taken],
            rows=prompts.rows[taken],
        )
        truth = ladder.truth(width) * float(np.exp(deviation))
        sample = planted_sample(ladder.metric, truth, width, own, rng)
        values = METRICS.find(ladder.metric).measure(sample, None)
        rows += [_placed(value, width, draw) for value in values if value.metric == ladder.metric]
    return rows


def _placed(value: Measurement, width: int, draw: int) -> Row:
    """Return a centred measurement as the row of a made-up model of this width."""
    parameters = LAYERS * 12 * width**2
    return replace(
        value,
        model=f"model-{width}",
        family="planted",
        num_parameters=parameters + 1000 * width,
        num_parameters_non_embedding=parameters,
        d_model=width,
        num_layers=LAYERS,
        key=f"{draw}-{width}",
        axes={"draw": str(draw)},
    ).as_row()


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One exponent of the scaling table."""

    sizes: int
    """Sizes that the ladder has."""
    draw: int
    """Number of the draw."""
    value: float | None
    """The exponent over width; None where it was refused."""
    low: float | None
    """Lower end."""
    high: float | None
    """Upper end."""
    refused: str | None
    """Why there is none."""


def fit_block(ladder: Ladder, draws: Sequence[int]) -> Iterator[Fit]:
    """Yield what the scaling table says of every draw and number of sizes."""
    measured = [row for draw in draws for row in measure_ladder(ladder, draw)]
    shown = [row for row in measured if row["centred"] is not False]
    for sizes, places in PARTS.items():
        widths = {WIDTHS[place] for place in places}
        table = scaling_table(
            to_table([row for row in shown if row["d_model"] in widths], ["draw"]),
            layout=TableLayout(metrics=(ladder.metric,), columns=("draw",)),
            against=("d_model",),
        )
        for header, cells in zip(table.rows, table.cells, strict=True):
            number = cells[0].number
            yield Fit(
                sizes=sizes,
                draw=int(header[table.row_levels.index("draw")]),
                value=number.value,
                low=number.low,
                high=number.high,
                refused=None if number.value is not None else str(number.reason),
            )


def run(ladders: Iterable[Ladder], draws: int, results: Path) -> None:
    """Fit what the file lacks, block by block, and append it."""
    results.parent.mkdir(parents=True, exist_ok=True)
    for ladder in ladders:
        done = {fit.draw for fit in read(results).get(ladder, [])}
        left = [draw for draw in range(draws) if draw not in done]
        for start in range(0, len(left), BLOCK):
            fits = list(fit_block(ladder, left[start : start + BLOCK]))
            lines = [json.dumps({**asdict(ladder), **asdict(fit)}) + "\n" for fit in fits]
            with results.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
            print(f"{ladder}: {min(start + BLOCK, len(left))} of {len(left)} draws", flush=True)


def read(results: Path) -> Mapping[Ladder, list[Fit]]:
    """Return the fits of the file, by ladder."""
    fits: dict[Ladder, list[Fit]] = {}
    for line in results.read_text(encoding="utf-8").splitlines() if results.exists() else ():
        entry = json.loads(line)
        ladder = Ladder(**{name: entry.pop(name) for name in Ladder.__dataclass_fields__})
        fits.setdefault(ladder, []).append(Fit(**entry))
    return fits


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How a ladder's intervals did."""

    num_draws: int
    """Draws of it."""
    refused: int
    """Those without an exponent."""
    covered: int
    """Those whose interval holds the truth."""
    spread: float
    """Standard deviation of the exponent over draws."""
    width: float
    """Median width of the interval."""


def judge(fits: Sequence[Fit], truth: float) -> Judgement:
    """Judge the fits of one ladder and number of sizes."""
    kept = [(fit.value, fit.low, fit.high) for fit in fits if fit.value is not None]
    numbers = np.array(kept, dtype=float).reshape(-1, 3)
    return Judgement(
        num_draws=len(fits),
        refused=len(fits) - len(kept),
        covered=int(((numbers[:, 1] <= truth) & (truth <= numbers[:, 2])).sum()),
        spread=float(numbers[:, 0].std(ddof=1)) if len(kept) > 1 else float("nan"),
        width=float(np.median(numbers[:, 2] - numbers[:, 1])) if kept else float("nan"),
    )


def report(results: Path) -> Iterator[str]:
    """Yield a table in Markdown: covered of how many, median width over 3.92 spreads, refused."""
    yield (
        "| metric | ladder | scatter | exponent | " + " | ".join(f"{n} sizes" for n in PARTS) + " |"
    )
    yield "|---|---|---|---|" + "---|" * len(PARTS)
    for ladder, fits in read(results).items():
        cells = []
        for sizes in PARTS:
            own = judge([fit for fit in fits if fit.sizes == sizes], ladder.exponent)
            refused = f", {own.refused} refused" if own.refused else ""
            wider = own.width / (3.92 * own.spread)
            cells.append(
                f"{own.covered} of {own.num_draws}{refused}; {own.width:.2g} ({wider:.1f})"
            )
        head = f"{ladder.metric} | {ladder.growth} | {ladder.scatter:g} | {ladder.exponent:g}"
        yield f"| {head} | {' | '.join(cells)} |"


def main() -> None:
    """Run what is asked for, or report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--metrics", nargs="*", default=list(PLANTED), choices=list(PLANTED))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="print the file's table, run nothing")
    chosen = parser.parse_args()
    if not chosen.report:
        wanted = [ladder for ladder in all_ladders() if ladder.metric in chosen.metrics]
        run(wanted, chosen.draws, chosen.results)
    print("\n".join(report(chosen.results)))


if __name__ == "__main__":
    main()
