"""Mean δ at every place of the residual stream that an extraction kept, by prompt group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from analysis.estimates.mean_offset import MeanOffset
from analysis.status import Status
from jobs.store.activation_store import ActivationStore
from jobs.store.activation_units import array_prefix

STREAM = ("resid_pre", "resid_mid", "resid_post")
"""Sites whose coordinates are those of value vectors."""

_Sums = dict[int, tuple[Float64[np.ndarray, " d"], int]]
"""Group -> mean of its rows and their number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamPlace:
    """One site, layer and position, and what is known of δ there."""

    site: str
    """A site of STREAM."""
    layer: int
    """Layer."""
    position: str
    """Position label."""
    offset: MeanOffset | tuple[Status, str]
    """Mean δ, or why there is none."""

    @property
    def nearest(self) -> int:
        """The last layer whose MLP has written to the stream there; -1 where none has."""
        return self.layer if self.site == "resid_post" else self.layer - 1


def find_stream_places(store: ActivationStore) -> Iterator[StreamPlace]:
    """Every place of the residual stream, those that are missing with their reason."""
    for site in (name for name in STREAM if name in store.sites):
        for layer in store.layers:
            absent = [label for label in store.absent_positions if label != "turn"]
            for label in (*store.positions, *absent):
                found = find_mean_offset(store, site, layer, label)
                yield StreamPlace(site=site, layer=layer, position=label, offset=found)


def find_mean_offset(
    store: ActivationStore, site: str, layer: int, label: str
) -> MeanOffset | tuple[Status, str]:
    """Mean δ at one place, or why there is none."""
    if site in store.missing:
        return Status.NOT_DEFINED_FOR_FAMILY, store.missing[site]
    if label in store.absent_positions:
        return Status.NOT_RUN, f"no prompt has a token at {label}"
    groups = _of_moments(store, array_prefix((site, layer), label))
    if not groups:
        groups = _of_rows(store, site, layer, label)
    if not groups:
        return Status.TOO_FEW_GROUPS, "there are no rows"
    floor = store.floor(site, layer, label)
    return MeanOffset.of_groups(groups, floor["offset_norm"] if floor else None)


def _of_moments(store: ActivationStore, prefix: str) -> _Sums:
    """From the means of units; empty where the position keeps no moments."""
    found: _Sums = {}
    for unit in store.units:
        if f"{prefix}moments.mean" not in unit:
            continue
        count, mean = int(unit[f"{prefix}moments.counts"][0]), unit[f"{prefix}moments.mean"]
        if count:
            _take(found, unit.marker["group"], mean * count, count)
    return {group: (total / count, count) for group, (total, count) in sorted(found.items())}


def _of_rows(store: ActivationStore, site: str, layer: int, label: str) -> _Sums:
    """From the rows that are stored: all, or where the position has many, the reservoir."""
    stored = store.stored(site, layer, label)
    found: _Sums = {}
    for group in np.unique(stored.index.groups):
        rows = stored[np.flatnonzero(stored.index.groups == group)].astype(np.float64)
        found[int(group)] = rows.mean(axis=0), len(rows)
    return found


def _take(found: _Sums, group: int, total: Float64[np.ndarray, " d"], count: int) -> None:
    before, number = found.get(group, (np.zeros_like(total), 0))
    found[group] = before + total, number + count
