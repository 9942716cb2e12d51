"""One number may be gathered twice, by two stages: which of its rows stands for it."""

from analysis.measurement import Row


def standing_row(first: Row, second: Row) -> Row:
    """Return the row that stands for a number of which there are two; `first` where both may.

    A job that left nothing contradicts none that did, so its row yields.

    Raises:
        ValueError: they are two different numbers.
    """
    if first["key"] is None:
        return second
    if second["key"] is None or first["value"] == second["value"]:
        return first
    raise ValueError(
        f"two different numbers of {second['metric']} for one cell: {first['value']} from "
        f"{first['key']} and {second['value']} from {second['key']}"
    )
