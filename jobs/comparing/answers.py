"""The answers of a study to its questions, as `answers.md` and `answers.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from analysis.answering.answer import StudyAnswer
from analysis.measurement import FIELDS, Row
from cluster.errors import UserError, unknown_name
from jobs.comparing.comparison import Comparison
from jobs.comparing.view import View

MARKDOWN, JSON = "answers.md", "answers.json"
MAX_EVIDENCE = 12
"""Pieces of evidence per answer in Markdown; `answers.json` has all."""
_SIGNS = {True: "yes", False: "no", None: "-"}


def answers(comparison: Comparison, view: View, *, places: bool = False) -> list[StudyAnswer]:
    """Return one answer per question, at the place that the view shows.

    Args:
        comparison: what was measured.
        view: the place.
        places: whether each is also given at every place.

    Raises:
        UserError: two jobs measured one number and differ.
    """
    from analysis.answering.answer import ordered_answers
    from analysis.answering.findings import Findings
    from analysis.answering.specifications import specifications
    from analysis.long_table.selection import Selection

    circumstances, origin = comparison.circumstances(), comparison.as_measured
    rows = _rows_read(comparison)
    try:
        findings = Findings.from_rows(
            rows,
            circumstances,
            selection=Selection(site=view.site, position=view.position, depths=(view.depth,)),
            seeds=view.seeds,
            snapshots=None if origin is None else (_rows_read(origin), origin.circumstances()),
            doses=comparison.doses,
        )
        studied = [entry.answer(findings) for entry in ordered_answers()]
        everywhere = (
            specifications(rows, circumstances, studied, findings, view.seeds) if places else {}
        )
    except ValueError as fault:
        raise UserError(str(fault), where="compare") from fault
    return [replace(answer, places=everywhere.get(answer.name)) for answer in studied]


def _rows_read(comparison: Comparison) -> list[Row]:
    """Return the measurements of the metrics that answers read, those of each job once.

    Where nothing behind a job names an axis, it is of several cells along that, and still one
    model and one number.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from analysis.answering.answer import metrics_read
    from analysis.long_table.columns import to_rows

    measurements = comparison.measurements
    wanted = pc.is_in(measurements["metric"], pa.array(metrics_read(), pa.string()))
    names = [*FIELDS, *comparison.swept]
    once: dict[tuple[object, ...], Row] = {}
    for at, row in enumerate(to_rows(measurements.filter(wanted))):
        # What was not measured has no job, and is missing in every cell.
        own = at if row["key"] is None else None
        once.setdefault((own, *(row.get(name) for name in names)), row)
    return list(once.values())


def write_answers(studied: Sequence[StudyAnswer], folder: Path) -> None:
    """Write the answers as Markdown and as JSON."""
    (folder / MARKDOWN).write_text(as_markdown(studied), encoding="utf-8")
    (folder / JSON).write_text(as_json(studied), encoding="utf-8")


def rendered_answers(studied: Sequence[StudyAnswer], form: str) -> bytes:
    """Return the answers for a terminal, or as one of the two files.

    Raises:
        UserError: another form.
    """
    forms = {"terminal": as_text, "markdown": as_markdown, "json": as_json}
    if form not in forms:
        raise unknown_name("format of answers", form, forms, where="--format")
    return forms[form](studied).encode()


def as_text(studied: Sequence[StudyAnswer]) -> str:
    """Return verdicts and summaries in plain lines, evidence below them with its vote."""
    return "\n".join(line for answer in studied for line in _lines(answer))


def _lines(answer: StudyAnswer) -> Iterator[str]:
    yield answer.question
    yield f"  {answer.verdict.value.upper()}: {answer.summary}"
    if answer.places is not None:
        yield f"  {answer.places.in_words}"
    yield from (f"    [{_SIGNS[piece.supports]:>3}] {piece.text}" for piece in answer.evidence)
    yield from (f"  ! {caveat}" for caveat in answer.caveats)
    yield ""


def as_json(studied: Sequence[StudyAnswer]) -> str:
    """Return all answers with all their evidence."""
    documents = [
        vars(answer)
        | {"evidence": [piece.as_json() for piece in answer.evidence]}
        | {"places": answer.places and answer.places.as_json()}
        for answer in studied
    ]
    return json.dumps(documents, indent=1, ensure_ascii=False) + "\n"


def as_markdown(studied: Sequence[StudyAnswer]) -> str:
    """Return the answers as a page; a question that was not measured says so."""
    return "\n".join(line for answer in studied for line in _section(answer))


def _section(answer: StudyAnswer) -> Iterator[str]:
    yield f"## {answer.question}\n"
    yield f"**{answer.verdict.value.capitalize()}.** {_escape(answer.summary)}\n"
    if answer.places is not None:
        yield f"{_escape(answer.places.in_words)}\n"
    if answer.evidence:
        yield "| says yes | evidence |"
        yield "| --- | --- |"
        for piece in answer.evidence[:MAX_EVIDENCE]:
            yield f"| {_SIGNS[piece.supports]} | {_escape(piece.text)} |"
        yield ""
    if len(answer.evidence) > MAX_EVIDENCE:
        yield f"{len(answer.evidence) - MAX_EVIDENCE} more in `{JSON}`.\n"
    for caveat in answer.caveats:
        yield f"- {_escape(caveat)}"
    if answer.caveats:
        yield ""


def _escape(text: str) -> str:
    """Escape characters with which a name could end a cell or begin markup."""
    escaped = text.replace("\\", "\\\\")
    for mark in "|*_`<>[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped
