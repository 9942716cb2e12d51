"""Where answers read activations: the place of each metric, and the models that have none there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.answering.placed_rows import is_turn, place_read, rows_at_place
from analysis.long_table.places import Pair, listed, whereabouts
from analysis.long_table.selection import Selection
from analysis.measurement import Row


@dataclass(frozen=True, kw_only=True)
class WhereRead:
    """Where the numbers of answers are of."""

    of_metric: Mapping[str, str] = field(default_factory=dict)
    """Metric -> its own place, where it has one: turns and whole answers have not."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Metric -> the models of which it is read nowhere though it was measured, and where."""

    @classmethod
    def of(cls, rows: Sequence[Row], selection: Selection, centred: bool | None) -> WhereRead:
        """Return where rows are read at a selection's place."""
        groups: dict[str, list[Row]] = {}
        for row in rows:
            if row["site"] is not None:
                groups.setdefault(str(row["metric"]), []).append(row)
        of_metric: dict[str, str] = {}
        unread: dict[str, str] = {}
        for metric, group in groups.items():
            chosen = place_read(group, selection)
            if any(row["position"] == chosen.position and not is_turn(row) for row in group):
                of_metric[metric] = place_in_words(chosen)
            numbers = [row for row in group if row["value"] is not None]
            # What is centred otherwise is at this place, too: only a place can be asked for.
            at_place = (rows_at_place(numbers, selection, each) for each in (True, False))
            read = {row["model"] for some in at_place for row in some}
            if lost := [row for row in numbers if row["model"] not in read]:
                unread[metric] = _unread(lost, chosen)
        return cls(of_metric=of_metric, unread=unread)

    def remarks(self, read: Iterable[str], metrics: Collection[str], place: str) -> list[str]:
        """Return what a reader is told of the place.

        Args:
            read: metrics of activations behind an answer.
            metrics: metrics that it looks for.
            place: where metrics are of that have no place of their own.
        """
        at: dict[str, list[str]] = {}
        for metric in dict.fromkeys(read):
            at.setdefault(self.of_metric.get(metric, place), []).append(metric)
        places = list(at)
        if len(at) > 1:
            places = [f"{place} ({listed(names)})" for place, names in at.items()]
        told = [f"Activations are read at {' and at '.join(places)}."] if at else []
        lost = (name for name in dict.fromkeys(metrics) if name in self.unread)
        return told + [f"{name} of {self.unread[name]}." for name in lost]


def _unread(rows: Sequence[Row], chosen: Selection) -> str:
    models = list(dict.fromkeys(str(row["model"]) for row in rows))
    layers: dict[Pair, set[tuple[int, int]]] = {}
    for row in rows:
        layer, total = row["layer"], row["num_layers"]
        of_pair = layers.setdefault((row["site"], row["position"]), set())
        if isinstance(layer, int) and isinstance(total, int):
            of_pair.add((layer, total))
    where, ways = whereabouts(
        layers, layers.__getitem__, chosen.site, chosen.position, chosen.depths
    )
    subject = "is not read there: it was" if len(models) == 1 else "are not read there: they were"
    return f"{listed(models)} {subject} measured at {where} ({ways})"


def place_in_words(chosen: Selection) -> str:
    """Return the place of a resolved selection as answers name it."""
    depth = (chosen.depths or (0.75,))[0]
    asked = f" ({_lacking(chosen)} at {chosen.depths_asked[0]:g})" if chosen.depths_asked else ""
    place = f"position {chosen.position}, relative depth {depth:.3g}{asked}"
    return f"{chosen.site or 'no site'}, {place}"


def _lacking(chosen: Selection) -> str:
    return f"nothing of {listed(chosen.lacking)}" if chosen.lacking else "nothing"
