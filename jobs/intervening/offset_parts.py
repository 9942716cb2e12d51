"""Parts of a mean offset: inside the subspace of another extraction's δ, and outside of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from analysis.estimates.shared_subspace import subspace_of
from analysis.rows.moments import Moments
from analysis.rows.spectra import Spectra
from analysis.status import Status
from cluster.errors import UserError
from jobs.intervening.intervene_params import InterveneParams
from jobs.store.activation_store import ActivationStore
from jobs.worker.work import Work

NOTHING = 1e-6
"""A part of at most this share of the mean offset's length is rounding."""


def part_of_mean(
    work: Work[InterveneParams],
    mean: Float64[np.ndarray, " d"],
    place: tuple[str, int, str],
    floor: float | None,
) -> Float64[np.ndarray, " d"] | tuple[Status, str]:
    """Return the part of mean δ that the intervention acts along, or why there is none.

    Args:
        work: the job, whose input `against` is the extraction of the subspace.
        mean: mean δ.
        place: site, layer and position.
        floor: median norm of a row of the base against itself, where it was measured.

    Returns:
        The part at its own length, or a status and its reason.

    Raises:
        UserError: the other extraction is of another base.
    """
    artifact = work.input("against")
    if work.input("base").key not in artifact.record.inputs:
        raise UserError(
            "the subspace is of another base model",
            where=artifact.folder,
            hint="give as `against` an extraction of the same base and of another aligned model",
        )
    store = ActivationStore(artifact)
    site, layer, label = place
    if not store.has(*place):
        return Status.NOT_RUN, f"`against` has no rows at {site}, layer {layer}, {label}"
    spectra = _spectra_of(store, place)
    if spectra is None or not np.isfinite(spectra.traces(False)).all():
        return Status.UNDEFINED, "rows of `against` hold NaN or infinity, or there are none"
    if not spectra.traces(False).any():
        return Status.BELOW_NOISE_FLOOR, "`against` moves nothing here"
    axes = subspace_of(spectra)
    inside = axes @ (axes.T @ mean)
    part = inside if work.params.made_of == "shared-part" else mean - inside
    length = float(np.linalg.norm(part))
    least = max(floor or 0.0, NOTHING * float(np.linalg.norm(mean)))
    if length <= least:
        reason = f"this part of the mean offset is {length:.3g} long, noise up to {least:.3g}"
        return Status.BELOW_NOISE_FLOOR, reason
    return np.asarray(part)


def _spectra_of(store: ActivationStore, place: tuple[str, int, str]) -> Spectra | None:
    """Return the spectra of all rows, or where a position keeps no moments, of the stored ones."""
    groups = [group for group in store.sample(*place).groups.values() if group.num_rows]
    moments = [group.moments for group in groups if group.moments is not None]
    if not moments or len(moments) < len(groups):
        stored = store.stored(*place)
        rows, numbers = stored[:].astype(np.float64), stored.index.groups
        moments = [Moments.from_rows(rows[numbers == number]) for number in np.unique(numbers)]
    return Spectra(moments) if moments else None
