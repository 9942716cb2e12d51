"""Where a study was measured: sites, positions and layers, and which of these a view takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from analysis.long_table.depth import depth_of, distinct_depths, layer_at
from analysis.measurement import Scalar

PREFERRED = {
    "site": ("resid_mid", "resid_post", "resid_pre"),
    "position": ("last", "response", "mean", "all"),
}
"""Defaults of site and position: the first of these that was measured."""
_MOST = 4
"""Names that a sentence lists."""

Pair = tuple[Scalar, Scalar]
"""Site and position; no site: behaviour or weights, no position: over a whole answer."""


class Place(NamedTuple):
    """Where one model was measured."""

    model: Scalar
    """Name of the model."""
    site: Scalar
    """Site of the activations; None for behaviour and weights."""
    position: Scalar
    """Position policy; None: over a whole answer."""
    layer: Scalar
    """Layer, where it has one."""
    num_layers: Scalar
    """Layers of the model."""


def places_of(rows: Iterable[Mapping[str, Scalar]]) -> set[Place]:
    """Return the places at which rows have a number; all of theirs where none has one."""
    rows = list(rows)
    measured = [row for row in rows if row.get("value", "") is not None]
    return {Place(*(row.get(name) for name in Place._fields)) for row in measured or rows}


def pairs_of(places: Iterable[Place]) -> list[Pair]:
    """Return the sites with their positions, those that are taken first before others."""
    pairs = {(place.site, place.position) for place in places if place.site is not None}
    return sorted(pairs, key=by_preference)


def chosen_pair(
    site: str | None, position: str | None, places: Collection[Place]
) -> tuple[str | None, str | None, tuple[Pair, ...]]:
    """Return the site and position that a view takes, and where else activations were measured.

    Both are of one measurement wherever one has what was asked for. The last part is empty unless
    there is none.
    """
    pairs = pairs_of(places)
    fitting = [
        pair
        for pair in pairs
        if site in (None, pair[0]) and (pair[1] is None or position in (None, pair[1]))
    ]
    known = fitting or [pair for pair in pairs if site == pair[0]] or pairs
    sites = [str(pair[0]) for pair in known]
    positions = [str(at) for _, at in known if at is not None]
    positions += sorted({str(p.position) for p in places if p.position is not None}, key=_rank_at)
    return (
        site or next(iter(sites), None),
        position or next(iter(positions), None),
        () if fitting else tuple(pairs),
    )


def chosen_depths(
    depths: Sequence[float], layers: Mapping[Scalar, tuple[int, Set[int]]]
) -> tuple[tuple[float, ...], tuple[str, ...] | None]:
    """Return relative depths at which models were measured, and which of them lack those asked for.

    The depths asked for, where every model was measured at one of them; else the nearest at which
    every model was; without such a one those asked for, or where no model has these, the nearest
    at which most were. None in place of models: the depths are those asked for.

    Args:
        depths: the depths that are asked for.
        layers: model -> how many layers it has, and those that were measured.
    """
    lacking = tuple(str(m) for m, own in layers.items() if not any(_has(d, own) for d in depths))
    if not lacking:
        return tuple(depths), None
    asked, own_of = depths[0], list(layers.values())
    fractions = {depth_of(layer, total) for total, own in own_of for layer in own}
    between = distinct_depths(total for total, _ in own_of)
    shared = [f for f in fractions if all(_has(f, own) for own in own_of)]
    shared = shared or [f for f in between if all(_has(f, own) for own in own_of)]
    if not shared and len(lacking) < len(layers):
        return tuple(depths), None
    nearest = min(
        shared or fractions,
        key=lambda f: (-sum(_has(f, own) for own in own_of), abs(f - asked), f),
    )
    return (nearest,), lacking


def _has(depth: float, own: tuple[int, Set[int]]) -> bool:
    total, layers = own
    return layer_at(depth, total) in layers


def layers_at(
    places: Iterable[Place], site: str | None, position: str | None
) -> dict[Scalar, tuple[int, set[int]]]:
    """Return model -> how many layers it has, and those measured at a site and position.

    Where none was there, those at the site; without any, those of weights.
    """
    having = [place for place in places if isinstance(place.layer, int) and place.num_layers]
    at_site = [place for place in having if place.site == site and site is not None]
    here = [place for place in at_site if place.position in (None, position)]
    layers: dict[Scalar, tuple[int, set[int]]] = {}
    for place in here or at_site or [place for place in having if place.site is None]:
        assert isinstance(place.layer, int) and isinstance(place.num_layers, int)
        layers.setdefault(place.model, (place.num_layers, set()))[1].add(place.layer)
    return layers


def in_words(pairs: Iterable[Pair]) -> str:
    """Return sites and positions in words: `resid_mid, resid_post; last`."""
    positions: dict[str, list[str]] = {}
    for site, position in pairs:
        at = positions.setdefault("" if site is None else str(site), [])
        at += [] if position is None else [str(position)]
    alike: dict[str, list[str]] = {}
    for site, at in sorted(positions.items(), key=lambda item: _rank_in("site", item[0])):
        alike.setdefault(listed(sorted(set(at), key=_rank_at)), []).append(site)
    return " and ".join("; ".join(filter(None, (listed(sites), at))) for at, sites in alike.items())


def whereabouts(
    pairs: Iterable[Pair],
    layers_of: Callable[[Pair], Set[tuple[int, int]]],
    site: Scalar,
    position: Scalar,
    depths: Sequence[float] | None,
) -> tuple[str, str]:
    """Return where numbers are that a view hides, in words, and the options that show them.

    Args:
        pairs: their sites and positions.
        layers_of: site and position -> their layers, each with how many its model has.
        site: the site that is shown.
        position: the position that is shown.
        depths: the relative depths that are shown.
    """
    pairs = sorted(pairs, key=by_preference)
    here = [pair for pair in pairs if pair[0] in (None, site) and pair[1] in (None, position)]
    asked = (depths or (0.0,))[0]
    if layers := {layer for pair in here for layer in layers_of(pair)}:
        fractions = sorted({depth_of(*layer) for layer in layers})
        words = listed([f"{depth:.3g}" for depth in fractions])
        return f"relative depth {words}", f"--depth {_nearest(layers, asked):.3g}"
    ways, layers = options(pairs[0], site, position), set(layers_of(pairs[0]))
    if layers and not any(layer_at(asked, total) == layer for layer, total in layers):
        ways.append(f"--depth {_nearest(layers, asked):.3g}")
    return in_words(pairs), " ".join(ways)


def _nearest(layers: Iterable[tuple[int, int]], asked: float) -> float:
    return min((depth_of(*layer) for layer in layers), key=lambda depth: abs(depth - asked))


def listed(names: Sequence[str]) -> str:
    """Return names with commas, the first of many."""
    left = len(names) - _MOST
    return ", ".join([*names[:_MOST], *([f"{left} more"] if left > 0 else [])])


def options(pair: Pair, site: Scalar, position: Scalar) -> list[str]:
    """Return the options that show a site and position where others are shown."""
    ways = [("--site", pair[0], site), ("--position", pair[1], position)]
    return [f"{name} {at}" for name, at, shown in ways if at not in (None, shown)]


def by_preference(pair: Pair) -> tuple[object, ...]:
    """Rank pairs of a policy before others, such as turns, then by site."""
    site, position = pair
    is_other = position not in PREFERRED["position"]
    return (is_other, *_rank_in("site", str(site)), *_rank_at(str(position)))


def _rank_at(position: str) -> tuple[int, int, str]:
    digits = position.rpartition("-")[2]
    rank, _ = _rank_in("position", position)
    return rank, int(digits) if digits.isdigit() else 0, position


def _rank_in(column: str, name: str) -> tuple[int, str]:
    order = PREFERRED[column]
    return order.index(name) if name in order else len(order), name
