"""Time until a report shows, for a study of 10,000 cells, in a fresh Chromium; and to write it.

    python -m benchmarks.report [--models 100] [--metrics 50] [--conditions 2]

Cells are synthetic, with a chain of three artifacts each; a figure is a vector image of 60 kB.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from analysis.measurement import Measurement
from analysis.status import Status
from analysis.tables.table import Cell, Table, annotate
from jobs.comparing.reporting.contents import Contents, FigureFile, Section
from jobs.comparing.reporting.page import render
from jobs.comparing.tracing import Trace

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
)
_SHOWN = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--metrics", type=int, default=50)
    parser.add_argument("--conditions", type=int, default=2)
    parser.add_argument("--figures", type=int, default=60)
    asked = parser.parse_args()
    began = time.perf_counter()
    page = render(study(asked.models, asked.metrics, asked.conditions, asked.figures))
    written = time.perf_counter() - began
    cells = asked.models * asked.metrics * asked.conditions
    print(f"{cells:,} cells, {asked.figures} figures: {len(page) / 1e6:.1f} MB, {written:.2f} s")
    if not CHROMIUM.exists():
        print(f"  loading is not measured: there is no {CHROMIUM}")
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_bytes(page)
        for attempt in range(3):
            print(f"  load {attempt + 1}: " + ", ".join(_load(file)))


def study(models: int, metrics: int, conditions: int, figures: int) -> Contents:
    """Return a study with that many models, metrics and conditions; one cell in ten is missing."""
    keys = [f"{number:064x}"[::-1] for number in range(models * conditions)]
    base = _artifact("pretrained", "f" * 64, ())
    traces = [
        _artifact("measure", key, (_artifact("align", f"e{key[1:]}", (base,)),)) for key in keys
    ]
    columns = [
        (f"metric_{m:02}", f"transform{c}") for m in range(metrics) for c in range(conditions)
    ]
    cells = tuple(
        tuple(
            _cell(row * len(columns) + at, keys[row * conditions + at % conditions])
            for at in range(len(columns))
        )
        for row in range(models)
    )
    table = annotate(
        Table(
            title="Synthetic comparison",
            row_levels=("family", "model", "parameters"),
            rows=tuple(("gpt2", f"gpt2-{row}m", f"{row} M") for row in range(models)),
            column_levels=("metric", "condition"),
            columns=tuple(columns),
            cells=cells,
        )
    )
    drawn = [FigureFile(name=f"figure-{n}", suffix="svg", data=_curve(n)) for n in range(figures)]
    section = Section(name="table", tables=[table], figures=drawn)
    return Contents(study="synthetic", jobs={"jobs": 3}, sections=[section], traces=traces)


def _cell(number: int, key: str) -> Cell:
    about = Measurement(metric="synthetic", definition="", key=key, num_seeds=1)
    if number % 10 == 9:
        reason = "the study stopped before it"
        return Cell(number=replace(about, status=Status.NOT_RUN, reason=reason))
    value = (number * 7919 % 10_007) / 10_007
    return Cell(number=replace(about, value=value, low=value - 0.01, high=value + 0.01))


def _artifact(kind: str, key: str, inputs: tuple[Trace, ...]) -> Trace:
    return Trace(
        kind=kind,
        key=key,
        label=f"{kind}[key={key[:6]}]",
        folder=f"artifacts/{kind}/{key[:16]}/attempts/first",
        params={f"param_{number}": number for number in range(12)},
        files=(("measurements.parquet", 7450, "10778318d627612a"),),
        versions={"python": "3.11", "torch": "2.13.0"},
        commit="0123456789ab",
        inputs=inputs,
    )


def _curve(seed: int) -> bytes:
    points = " ".join(f"{x},{(x * (seed + 3)) % 300}" for x in range(6_000))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 6000 300" width="600" height="300">'
        f'<polyline fill="none" stroke="#0072B2" points="{points}"/></svg>'
    ).encode()


def _load(file: Path) -> list[str]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        began = time.perf_counter()
        page.goto(file.as_uri(), wait_until="commit")
        page.wait_for_selector("#tables tbody a")
        cells_visible = time.perf_counter() - began
        page.wait_for_load_state()
        loaded = time.perf_counter() - began
        painted = page.evaluate(_SHOWN)
        began = time.perf_counter()
        page.fill("#filter", "metric_07 gpt2-4")
        page.locator("#found", has_text=" of ").wait_for()
        filtered = time.perf_counter() - began
        elements = page.evaluate("document.querySelectorAll('*').length")
        browser.close()
    return [
        f"first paint {(painted or 0) / 1000:.2f} s",
        f"first cells {cells_visible:.2f} s",
        f"loaded {loaded:.2f} s",
        f"filter {filtered:.2f} s",
        f"{elements:,} elements",
    ]


if __name__ == "__main__":
    main()
