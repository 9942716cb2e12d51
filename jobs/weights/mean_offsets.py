"""Mean δ by prompt group, at every place of the residual stream in an activation store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from analysis.estimates.mean_offset import MeanOffset
from analysis.status import Status
from jobs.models.family import STREAM_SITES
from jobs.store.activation_store import ActivationStore
from jobs.store.store_layout import array_prefix

_GroupMeans = dict[int, tuple[Float64[np.ndarray, " d"], int]]
"""Group -> mean of its rows, and their number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamPlace:
    """One site, layer and position, with the mean of δ."""

    site: str
    """A site of the residual stream."""
    layer: int
    """Layer, from 0."""
    position: str
    """Position label."""
    offset: MeanOffset | tuple[Status, str]
    """Mean δ, or why there is none."""

    @property
    def nearest(self) -> int:
        """The last layer whose MLP has written to the stream at this place; -1 for none."""
        return self.layer if self.site == "resid_post" else self.layer - 1


def find_stream_places(store: ActivationStore) -> Iterator[StreamPlace]:
    """Yield every place of the residual stream; missing ones carry the reason."""
    for site in (name for name in STREAM_SITES if name in store.sites):
        for layer in store.layers:
            absent = [label for label in store.absent_positions if label != "turn"]
            for label in (*store.positions, *absent):
                offset = find_mean_offset(store, site, layer, label)
                yield StreamPlace(site=site, layer=layer, position=label, offset=offset)


def find_mean_offset(
    store: ActivationStore, site: str, layer: int, label: str
) -> MeanOffset | tuple[Status, str]:
    """Return mean δ at one place, or why there is none."""
    if site in store.missing:
        return Status.NOT_DEFINED_FOR_FAMILY, store.missing[site]
    if label in store.absent_positions:
        return Status.NOT_RUN, f"no prompt has a token at {label}"
    groups = _means_of_moments(store, array_prefix((site, layer), label))
    if not groups:
        groups = _means_of_rows(store, site, layer, label)
    if not groups:
        return Status.TOO_FEW_GROUPS, "there are no rows"
    floor = store.floor(site, layer, label)
    return MeanOffset.of_groups(groups, floor["offset_norm"] if floor else None)


def _means_of_moments(store: ActivationStore, prefix: str) -> _GroupMeans:
    """Join the means of units; empty where the position has no moments."""
    sums: dict[int, tuple[Float64[np.ndarray, " d"], int]] = {}
    for unit in store.units:
        if f"{prefix}moments.mean" not in unit:
            continue
        count, mean = int(unit[f"{prefix}moments.counts"][0]), unit[f"{prefix}moments.mean"]
        if count:
            group = unit.marker["group"]
            total, number = sums.get(group, (np.zeros_like(mean), 0))
            sums[group] = total + mean * count, number + count
    return {group: (total / count, count) for group, (total, count) in sorted(sums.items())}


def _means_of_rows(store: ActivationStore, site: str, layer: int, label: str) -> _GroupMeans:
    """Average the stored rows: all of them, or the reservoir where a position has many."""
    stored = store.stored(site, layer, label)
    means: _GroupMeans = {}
    for group in np.unique(stored.index.groups):
        rows = stored[np.flatnonzero(stored.index.groups == group)].astype(np.float64)
        means[int(group)] = rows.mean(axis=0), len(rows)
    return means
