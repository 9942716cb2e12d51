"""Rows of a long table that may be combined over seeds, and the circumstances of each seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from analysis.long_table.circumstances import Circumstances
from analysis.measurement import Row


def by_seed(
    row: Row, group: Sequence[Row], circumstances: Mapping[str, Circumstances]
) -> list[Circumstances]:
    """Return the circumstances of the jobs behind a number, in the order of its group's rows."""
    keys, order = str(row["key"]).split(), {str(each["key"]): n for n, each in enumerate(group)}
    return [circumstances[key] for key in sorted(keys, key=lambda key: order.get(key, 0))]


def comparable_groups(
    rows: Sequence[Row], circumstances: Mapping[str, Circumstances]
) -> Iterator[list[Row]]:
    """Group rows by what they are compared with: stages may compare one cell with several things.

    The same number measured by two such stages is kept once.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    kept = set()
    for row in rows:
        about = circumstances[str(row["key"])]
        content = tuple(value for name, value in row.items() if name != "key")
        if content not in kept:
            kept.add(content)
            is_same_model = about.against_aligned == about.aligned
            # Each seed may have prompts of its own.
            is_own = about.against_prompts == about.prompts
            against = is_own or about.against_prompts, about.against_objective
            compared = (*against, is_same_model, about.prefill, about.pairs)
            groups.setdefault((*compared, about.intervention), []).append(row)
    yield from groups.values()
