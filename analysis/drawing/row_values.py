"""Rows of measurements as numbers to draw: values, intervals, ends of the axis; what cannot be."""

import math
from collections import Counter
from collections.abc import Sequence

from analysis.measurement import Row
from analysis.status import Status
from analysis.tables.rounding import ROUNDING_NOISE

ROOM = 0.4
"""Share of the values' span that intervals may add."""
PLACES = {"site": "{}", "position": "position {}", "depth": "relative depth {}"}
"""Columns that say where rows are of, in words."""
MARGIN = 0.05
"""Share of the axis between its ends and what is drawn, for the marks."""
QUIET = Status.BELOW_NOISE_FLOOR
"""What is measured and not drawn."""


def missing_note(rows: Sequence[Row]) -> str:
    """Return what could not be drawn and why, in words; empty where all of it was."""
    lost = Counter(str(row["status"]) for row in rows if not _drawn(row))
    if not lost:
        return ""
    reasons = ", ".join(f"{count} {readable(status)}" for status, count in sorted(lost.items()))
    return f"Not drawn: {reasons} of {len(rows)} values."


def place_note(rows: Sequence[Row]) -> str:
    """Site, position and relative depth of the rows, where they have one of it; as a sentence."""
    values = {name: sorted({str(row[name]) for row in rows} - {"None"}) for name in PLACES}
    parts = [PLACES[name].format(only[0]) for name, only in values.items() if len(only) == 1]
    return f"At {', '.join(parts)}." if parts else ""


def notes_on(drawn: Sequence[Row], rows: Sequence[Row], *more: str) -> str:
    """Return as one note: the place of the rows drawn, what of all rows is missing, and more."""
    return " ".join(part for part in (place_note(drawn), missing_note(rows), *more) if part)


def of_two(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """Return rows without those of a sample compared with itself, and what they were, in words.

    Such a number is what it is by definition, without an interval: no curve goes through it.
    """
    kept = [row for row in rows if not _of_one(row)]
    own = {str(row.get("condition") or "a sample") for row in rows if _of_one(row)}
    return kept, f"Left out: {', '.join(sorted(own))} compared with itself." if own else ""


def _of_one(row: Row) -> bool:
    value, low, high = row["value"], row["low"], row["high"]
    if row["compared_by"] is None or value is None or low is None or high is None:
        return False
    return bool(float(high) - float(low) <= ROUNDING_NOISE * max(abs(float(value)), 1.0))


def value_limits(rows: Sequence[Row], log: bool) -> tuple[float, float]:
    """Find the ends of the value axis: all values, and their intervals unless these are far longer.

    Two seeds give t intervals of thirteen standard errors; one such bar may leave the panel
    rather than flatten all the others.
    """
    values = [number(row, "value") for row in rows]
    lows = [low for row in rows if math.isfinite(low := number(row, "low"))] + values
    highs = [high for row in rows if math.isfinite(high := number(row, "high"))] + values
    if not values:
        return (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        bottom = max(min((low for low in lows if low > 0), default=0.0), min(values) / 2.5)
        top = min(max(highs), max(values) * 2.5)
        room = max((top / bottom) ** MARGIN, 1.1)
        return bottom / room, top * room
    span = max(*values, 0.0) - min(*values, 0.0) or 1.0
    bottom = max(min(lows), min(values) - span * ROOM)
    top = min(max(highs), max(values) + span * ROOM)
    bottom, top = min(bottom, 0.0), max(top, 0.0)
    room = MARGIN * (top - bottom)
    ends = bottom - room * (bottom < 0), top + room * (top > 0)
    return ends if top > bottom else (0.0, 1.0)


def number(row: Row, name: str) -> float:
    """Return a field as a number to draw; a missing one is NaN, which matplotlib leaves out."""
    value = row[name]
    return float("nan") if value is None else float(value)


def drawable(rows: Sequence[Row]) -> list[Row]:
    """Return rows that have a number above the noise floor."""
    return [row for row in rows if _drawn(row)]


def _drawn(row: Row) -> bool:
    return row["value"] is not None and row["status"] != QUIET


def half_widths(rows: Sequence[Row]) -> list[list[float]]:
    """Return distances from the values to their interval's ends, as error bars want them."""
    below = [max(number(row, "value") - number(row, "low"), 0.0) for row in rows]
    above = [max(number(row, "high") - number(row, "value"), 0.0) for row in rows]
    return [[0.0 if span != span else span for span in side] for side in (below, above)]


def readable(metric: str) -> str:
    """Return a metric's name as an axis label."""
    return metric.replace("_", " ")


def metric_label(rows: Sequence[Row]) -> str:
    """Return the name of the rows' metric as an axis label; empty without rows."""
    return readable(str(rows[0]["metric"])) if rows else ""


def spectrum_label(metric: str, rows: Sequence[Row]) -> str:
    """Return a metric's name on an axis; a spectrum says that it is the centred one."""
    centred = any(row["centred"] for row in rows)
    return f"{readable(metric)} (centred)" if centred else readable(metric)
