"""Contents of pages: a small one, one whose names are hostile, and one of many cells."""

from dataclasses import replace

import pytest

from analysis.answering.answer import Evidence, StudyAnswer, Verdict
from analysis.estimates.intervals import Estimate
from analysis.measurement import Measurement
from analysis.status import Status
from analysis.tables.table import Cell, Table, annotate
from jobs.comparing.reporting.contents import Contents, FigureFile, Section
from jobs.comparing.tracing import Trace

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300" width="400" height="300">'
    b'<rect width="400" height="300" fill="#0072B2"/></svg>'
)


def traced(kind, key, *inputs, **changed):
    """A trace of one file."""
    told = {
        "kind": kind,
        "key": key * 64,
        "label": f"{kind}[model=m1]",
        "folder": f"artifacts/{kind}/{key * 16}/attempts/one",
        "params": {"steps": 3, "name": "a name"},
        "files": (("measurements.parquet", 7450, "10778318d627612a"),),
        "versions": {"python": "3.11.2"},
        "commit": "c0ffee",
        "inputs": inputs,
    }
    return Trace(**{**told, **changed})


def cell(value, key="a", **changed):
    """A number with its interval and a job."""
    ends = {} if value is None else {"low": value - 0.5, "high": value + 0.5, "num_seeds": 1}
    missing = {} if value is not None else {"status": Status.NOT_RUN, "reason": "it was stopped"}
    told = {"metric": "m", "definition": "", **ends, **missing, "key": key * 64, **changed}
    return Cell(number=Measurement(value=value, **told))


def table(rows, columns, cells, title="Comparison"):
    """A table with models down the side, metric and objective across."""
    return annotate(
        Table(
            title=title,
            row_levels=("family", "model"),
            rows=rows,
            column_levels=("metric", "objective"),
            columns=columns,
            cells=cells,
            caption="Taken at relative depth 0.75.",
        )
    )


def answer(**changed):
    """An answer with one number behind it."""
    told = {
        "name": "holds",
        "question": "Does it hold?",
        "verdict": Verdict.MIXED,
        "summary": "Some do.",
        "evidence": (
            Evidence(
                text="m1 reads 2.",
                metric="toxic_mass",
                cell={},
                estimate=Estimate(value=2.0, low=1.0, high=3.0),
                keys=("a" * 64,),
                supports=True,
            ),
        ),
        "caveats": ("A model organism.",),
    }
    return StudyAnswer(**{**told, **changed})


@pytest.fixture
def artifact():
    """A function: kind, key and inputs -> a trace of one file."""
    return traced


@pytest.fixture
def small():
    """Four models, two metrics under two objectives, one cell missing; two artifacts."""
    models = tuple(("gpt2", f"m{number}") for number in range(1, 5))
    columns = tuple((m, o) for m in ("toxic_mass", "consistency") for o in ("dpo", "sft"))
    values = ((2.0, 10.0, 5.0, 1.0), (None, 9.0, 6.0, 1.0), (10.0, 8.0, 7.0, 1.0), (1.5, 7, 8, 1))
    cells = tuple(tuple(cell(value) for value in line) for line in values)
    figures = [FigureFile(name=name, suffix="svg", data=SVG) for name in ("one-figure", "two")]
    return Contents(
        study="small",
        jobs={"jobs": 2, "done": 2},
        sections=[
            Section(
                name="table",
                tables=[table(models, columns, cells)],
                figures=figures,
                answers=[answer()],
            )
        ],
        traces=[traced("measure", "a", traced("align", "b", role="delta"))],
    )


@pytest.fixture
def controlled(small):
    """The small one whose first cell has a floor and a band of controls."""
    section = small.sections[0]
    whole = section.tables[0]
    first = whole.cells[0][0]
    number = replace(first.number, floor=0.25, null_low=-1.0, null_high=1.0)
    first = replace(first, number=number)
    changed = replace(whole, cells=((first, *whole.cells[0][1:]), *whole.cells[1:]))
    return replace(small, sections=[replace(section, tables=[changed])])


@pytest.fixture
def large():
    """Twenty metrics of 300 models: 6,000 cells."""
    models = tuple(("gpt2", f"m{number}") for number in range(300))
    columns = tuple((f"metric_{number:02}", "dpo") for number in range(20))
    cells = tuple(
        tuple(cell(float(row * 7919 % 300) + column) for column in range(20)) for row in range(300)
    )
    section = Section(name="table", tables=[table(models, columns, cells)], figures=[])
    return Contents(
        study="large", jobs={"jobs": 1}, sections=[section], traces=[traced("measure", "a")]
    )


@pytest.fixture
def hostile():
    """Every name that people choose tries to become markup."""
    evil = (
        "</script><script>window.broken=1</script><img src=x onerror='window.broken=1'>\"'`{{7*7}}"
    )
    drawing = SVG.replace(b"</svg>", b"<script>window.broken=1</script></svg>")
    bad = table(
        ((evil, "m1"),), ((evil, evil),), ((cell(None, reason=evil),),), title=f"title {evil}"
    )
    return Contents(
        study=evil,
        jobs={evil: 1},
        sections=[
            Section(
                name=evil,
                tables=[bad],
                figures=[FigureFile(name=evil, suffix="svg", data=drawing, caption=evil)],
                answers=[answer(question=evil, summary=evil, caveats=(evil,))],
            )
        ],
        traces=[
            traced(
                "measure",
                "a",
                label=evil,
                params={evil: evil},
                versions={evil: evil},
                commit=evil,
                files=((evil, 1, evil),),
            )
        ],
    )
