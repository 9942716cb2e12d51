"""Every answer by its own rule at every place: does it depend on where one looks?

Simonsohn, Simmons and Nelson 2020, *Specification curve analysis*. A place is a site, a position
and a relative depth at which all models were measured; depths that choose the same layers of all
models are one. Spectra are read
about the mean everywhere, as answers do. Places of which an answer reads the same numbers count
once: what is measured at turns of a dialogue has no other position. What an answer reads at a dose
of training is read at the study's own place alone: elsewhere its rule would be another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from analysis.answering.answer import (
    AnswerFile,
    Evidence,
    Specification,
    Specifications,
    StudyAnswer,
    Verdict,
    ordered_answers,
)
from analysis.answering.findings import TURN, Findings
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.depth import distinct_depths, layer_at
from analysis.long_table.selection import Selection
from analysis.measurement import Row

Place = tuple[str, str, float]
"""Site, position and relative depth."""


def specifications(
    rows: Sequence[Row],
    circumstances: Mapping[str, Circumstances],
    studied: Sequence[StudyAnswer],
    seeds: str | None,
) -> dict[str, Specifications]:
    """Return name of an answer -> the answer at every place.

    Args:
        rows: what answers read, of every place.
        circumstances: key of a job -> those of its measurements.
        studied: the answers at the study's own place.
        seeds: axis that is averaged over.

    Returns:
        The answers that were measured and read activations, each with two places or more; none
        that reads its numbers at a dose of training.
    """
    own = {answer.name: answer for answer in studied}
    has_doses = any(about.step is not None for about in circumstances.values())
    anywhere = Findings.from_rows(
        [row for row in rows if row["site"] is None],
        circumstances,
        selection=Selection(),
        seeds=seeds,
    )
    by_site: dict[str, list[Row]] = {}
    for row in rows:
        if row["site"] is not None and row["value"] is not None:
            by_site.setdefault(str(row["site"]), []).append(row)
    placed = {str(row["metric"]) for row in chain.from_iterable(by_site.values())}
    entries = [
        entry
        for entry in ordered_answers()
        if placed & set(entry.METRICS)
        and _verdict(own, entry) is not Verdict.NOT_MEASURED
        and not (has_doses and getattr(entry, "READS_DOSES", False))
    ]
    at: dict[str, dict[object, tuple[Specification, object]]] = {}
    for place, findings in _at_places(by_site, circumstances, seeds, anywhere):
        for entry in entries:
            answer = entry.answer(findings)
            if answer.verdict is not Verdict.NOT_MEASURED:
                here = at.setdefault(answer.name, {})
                read = [_content(piece) for piece in answer.evidence]
                votes = (answer.verdict, *(part for part in read if part[-1] is not None))
                here.setdefault(tuple(read), (_specification(place, answer, placed), votes))
    return {
        name: curve
        for name, here in at.items()
        if len((curve := _curve(own[name].verdict, list(here.values()))).of) > 1
    }


def _curve(verdict: Verdict, places: Sequence[tuple[Specification, object]]) -> Specifications:
    """Return an answer's places; those without numbers of activations only where none has any."""
    having = [place for place in places if place[0].numbers] or places
    return Specifications(
        verdict=verdict,
        of=tuple(specification for specification, _ in having),
        is_placed=len({votes for _, votes in having}) > 1,
    )


def _verdict(own: Mapping[str, StudyAnswer], entry: AnswerFile) -> Verdict:
    name = entry.__name__.rpartition(".")[2]  # type: ignore[attr-defined]  # entries are modules
    return own[name].verdict if name in own else Verdict.NOT_MEASURED


def _at_places(
    by_site: Mapping[str, Sequence[Row]],
    circumstances: Mapping[str, Circumstances],
    seeds: str | None,
    anywhere: Findings,
) -> Iterator[tuple[Place, Findings]]:
    """Yield every place with the findings there, and those that have no place."""
    for site, of_site in sorted(by_site.items()):
        depths = _depths(of_site)
        turns = [row for row in of_site if str(row["position"]).startswith(TURN)]
        positions = sorted(
            {str(row["position"]) for row in of_site} - {r["position"] for r in turns}
        )
        for position in positions:
            here = [row for row in of_site if row["position"] == position] + turns
            for depth in depths:
                findings = Findings.from_rows(
                    here,
                    circumstances,
                    selection=Selection(site=site, position=position, depths=(depth,)),
                    seeds=seeds,
                )
                everything = [*anywhere.all, *findings.all]
                yield (
                    (site, position, depth),
                    replace(anywhere, all=everything, place=findings.place, snapshots=None),
                )


def _depths(rows: Sequence[Row]) -> list[float]:
    """Return a depth for every choice of layers that was measured in all models of a site."""
    layers: dict[object, set[int]] = {}
    totals: dict[object, int] = {}
    for row in rows:
        layer, total = row["layer"], row["num_layers"]
        if isinstance(layer, int) and isinstance(total, int):
            layers.setdefault(row["model"], set()).add(layer)
            totals[row["model"]] = total
    return [
        depth
        for depth in distinct_depths(totals.values())
        if all(layer_at(depth, totals[model]) in own for model, own in layers.items())
    ]


def _content(piece: Evidence) -> tuple[object, ...]:
    """Return what makes two pieces of evidence the same."""
    number = piece.estimate
    ends = () if number is None else (number.value, number.low, number.high)
    return piece.metric, tuple(piece.cell.items()), ends, piece.supports


def _specification(place: Place, answer: StudyAnswer, placed: set[str]) -> Specification:
    """Return an answer at a place, with the metric of activations that it rests on most."""
    pieces = [
        piece
        for piece in answer.evidence
        if piece.metric in placed and "model" in piece.cell and piece.estimate is not None
    ]
    voting = [piece.metric for piece in pieces if piece.supports is not None]
    counted = Counter(voting or [piece.metric for piece in pieces])
    most = counted.most_common(1)[0][0] if counted else None
    site, position, depth = place
    return Specification(
        site=site,
        position=position,
        depth=depth,
        verdict=answer.verdict,
        numbers=tuple(piece for piece in pieces if piece.metric == most),
    )
