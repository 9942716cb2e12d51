"""Rows of a long table by the place that they are of: site, position, depth, centring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.long_table.depth import layer_at
from analysis.long_table.selection import Selection, resolve
from analysis.measurement import Row

TURN = "turn-"
"""Prefix of the positions of dialogue turns."""
ABOUT_ZERO = ("shared_part", "energy_inside_sft", "energy_outside_sft", "energy_inside_sft_ceiling")
"""Spectral values that are read about zero too: there the mean offset belongs to them."""
CENTRINGS: Mapping[bool | None, str] = {True: "the mean", False: "zero"}
"""Whether spectra are centred -> what they are about, in words."""
_ANY_DEPTH = (0.75,)


def place_read(rows: Sequence[Row], selection: Selection) -> Selection:
    """Return where a metric is read: at the selection's place, as far as it was measured there."""
    # A metric also has rows at sites where it is not defined: the site is chosen among the others.
    measured = [row for row in rows if row["value"] is not None] or rows
    if selection.site not in {row["site"] for row in measured}:
        selection = replace(selection, site=None)
    return resolve(selection, measured)


def rows_at_place(
    rows: Sequence[Row], selection: Selection, centred: bool | None = None
) -> Iterator[Row]:
    """Yield rows of one metric at the selection's site, position and depths.

    Turns and behaviour have positions of their own. Where no centring is asked for, spectra are
    taken centred: an uncentred rank near 1 may only say that there is a mean. What is then read
    about zero, too, is in ABOUT_ZERO.
    """
    chosen = place_read(rows, selection)
    depths = chosen.depths or _ANY_DEPTH
    for row in rows:
        layer, layers = row["layer"], row["num_layers"]
        at_position = row["position"] in (None, chosen.position)  # None: over a whole answer
        at_position = at_position or is_turn(row)
        at_layer = layer is None or layer in {layer_at(depth, int(layers or 1)) for depth in depths}
        at_site = row["site"] is None or (row["site"] == chosen.site and at_position)
        if at_layer and at_site and _is_read(row, centred):
            yield row


def _is_read(row: Row, centred: bool | None) -> bool:
    if centred is not None:
        return row["centred"] in (None, centred)
    return row["centred"] is not False or row["metric"] in ABOUT_ZERO


def is_turn(row: Row) -> bool:
    """Whether a row is of a turn of a dialogue."""
    return str(row["position"]).startswith(TURN)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedRows:
    """Rows of a long table, found by site and position."""

    all: Sequence[Row]
    """Every row."""
    anywhere: Sequence[Row]
    """Rows without a site, such as those of behaviour."""
    by_site: Mapping[str, Mapping[str | None, Sequence[Row]]]
    """Site -> position -> rows; None: over a whole answer."""

    @classmethod
    def of(cls, rows: Iterable[Row]) -> PlacedRows:
        """Sort rows by their place."""
        rows = list(rows)
        by_site: dict[str, dict[str | None, list[Row]]] = {}
        for row in rows:
            if row["site"] is not None:
                position = None if row["position"] is None else str(row["position"])
                by_site.setdefault(str(row["site"]), {}).setdefault(position, []).append(row)
        anywhere = [row for row in rows if row["site"] is None]
        return cls(all=rows, anywhere=anywhere, by_site=by_site)

    def positions(self, site: str) -> list[str]:
        """Return the positions at a site that may be chosen, sorted.

        Turns, and what is of whole answers, are read at each of them; where there is nothing else,
        they are the one choice.
        """
        named = {name for name in self.by_site[site] if name is not None}
        turns = {name for name in named if name.startswith(TURN)}
        return sorted(named - turns) or ["turn" if turns else "answer"]

    def near(self, site: str, position: str) -> list[Row]:
        """Return the rows of a site that are read at one of its positions."""
        return [
            row
            for name, rows in self.by_site.get(site, {}).items()
            if name is None or name == position or name.startswith(TURN)
            for row in rows
        ]
