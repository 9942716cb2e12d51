"""Every answer by its own rule at every place: does it depend on where one looks?

Simonsohn, Simmons and Nelson 2020, *Specification curve analysis*. A place is a site, a position
and a relative depth at which all models were measured, and a centring; depths that choose the same
layers of all models are one. Spectra are read about the mean and about zero wherever both were
measured, whichever of them an answer reads at the study's own place. Places of which an answer
reads the same numbers count once: what is measured at turns of a dialogue, or over whole answers,
has no other position, and what is no spectrum no centring. What is read at a dose of training is
read at the same dose everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from analysis.answering.answer import (
    Evidence,
    Specification,
    Specifications,
    StudyAnswer,
    Verdict,
    ordered_answers,
)
from analysis.answering.findings import Findings
from analysis.answering.placed_rows import CENTRINGS, PlacedRows
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
    own: Findings,
    seeds: str | None,
) -> dict[str, Specifications]:
    """Return name of an answer -> the answer at every place, of every answer that was measured.

    Args:
        rows: what answers read, of every place.
        circumstances: key of a job -> those of its measurements.
        studied: the answers at the study's own place.
        own: the findings there.
        seeds: axis that is averaged over.
    """
    verdicts = {
        answer.name: answer.verdict
        for answer in studied
        if answer.verdict is not Verdict.NOT_MEASURED
    }
    placed = PlacedRows.of(row for row in rows if row["site"] is None or row["value"] is not None)
    metrics, spectra = set[str](), set[str]()
    for row in placed.all:
        if row["site"] is not None:
            metrics.add(str(row["metric"]))
            if row["centred"] is not None:
                spectra.add(str(row["metric"]))
    at: dict[str, dict[object, tuple[Specification, object]]] = {name: {} for name in verdicts}
    for place, findings, is_first in _at_places(placed, circumstances, seeds, own):
        for entry in ordered_answers():
            read = set(entry.METRICS)
            if not read & metrics or not (is_first or read & spectra):
                continue
            answer = entry.answer(findings)
            if answer.verdict is not Verdict.NOT_MEASURED and answer.name in at:
                centring = CENTRINGS.get(findings.centred, "") if read & spectra else ""
                _add(at[answer.name], _specification(place, centring, answer, metrics), answer)
    return {name: _curve(verdicts[name], list(here.values())) for name, here in at.items()}


def _add(
    here: dict[object, tuple[Specification, object]], found: Specification, answer: StudyAnswer
) -> None:
    """Add an answer at a place, unless it reads there what it reads at another one."""
    read = [_content(piece) for piece in answer.evidence]
    votes = (answer.verdict, *(part for part in read if part[-1] is not None))
    known, _ = here.setdefault(tuple(read), (found, votes))
    if _place_of(known) == _place_of(found) and known.centring != found.centring:
        here[tuple(read)] = replace(known, centring=""), votes  # the same under either centring


def _place_of(one: Specification) -> Place:
    return one.site, one.position, one.depth


def _curve(verdict: Verdict, places: Sequence[tuple[Specification, object]]) -> Specifications:
    """Return an answer's places: those with numbers of activations, where any has."""
    having = [place for place in places if place[0].numbers]
    if not having and len(places) > 1:
        having = list(places)
    return Specifications(
        verdict=verdict,
        of=tuple(specification for specification, _ in having),
        is_placed=len({votes for _, votes in having}) > 1,
    )


def _at_places(
    placed: PlacedRows,
    circumstances: Mapping[str, Circumstances],
    seeds: str | None,
    own: Findings,
) -> Iterator[tuple[Place, Findings, bool]]:
    """Yield every place with the findings there and those that have no place.

    With it, whether it is the first centring there.
    """
    anywhere = Findings.from_rows(
        placed.anywhere, circumstances, selection=Selection(), seeds=seeds, doses=own.doses
    )
    for site in sorted(placed.by_site):
        depths = _depths([row for rows in placed.by_site[site].values() for row in rows])
        for position in placed.positions(site):
            here = placed.near(site, position)
            known = {row["centred"] for row in here} - {None}
            spectral: list[bool | None] = [each for each in (True, False) if each in known]
            centrings = spectral or [None]
            for depth in depths:
                at = Selection(site=site, position=position, depths=(depth,))
                for centred in centrings:
                    findings = Findings.from_rows(
                        here, circumstances, selection=at, seeds=seeds, centred=centred
                    )
                    along = own.snapshots and own.snapshots.near(at, centred)
                    yield (
                        (site, position, depth),
                        replace(
                            anywhere,
                            all=[*anywhere.all, *findings.all],
                            along_answers=[*anywhere.along_answers, *findings.along_answers],
                            place=findings.place,
                            where=findings.where,
                            snapshots=along,
                            centred=centred,
                        ),
                        centred is centrings[0],
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


def _specification(
    place: Place, centring: str, answer: StudyAnswer, placed: set[str]
) -> Specification:
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
        centring=centring,
        verdict=answer.verdict,
        numbers=tuple(piece for piece in pieces if piece.metric == most),
    )
