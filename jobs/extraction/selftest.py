"""The residual stream must add up: what is read at the sites is what the blocks really add.

In a pre-norm model resid_post(l) = resid_pre(0) + sum over j <= l of (attn_out(j) + mlp_out(j)), in
the base, in the aligned model and so in δ. Wrong sites, fused residuals, norms placed after a block
and parallel blocks all break it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.extraction.pair import Inputs, activations
from jobs.extraction.taps import Place, taps_of
from jobs.family import Missing

if TYPE_CHECKING:
    from torch import Tensor

SUMMED = ("resid_pre", "attn_out", "mlp_out", "resid_post")
"""Sites that the sum needs."""
_ROUNDINGS = 4
"""Roundings of the largest term allowed per addition; an exact sum needs at most one."""


def check_residual_stream(name: str, model: Any, inputs: Inputs, last_layer: int) -> None:
    """Raise UserError unless the sites of `model` add up, to rounding, in blocks 0 to `last_layer`.

    A family that lacks one of the sites cannot be checked and passes.
    """
    taps = taps_of(model)
    if any(isinstance(taps[site], Missing) for site in SUMMED):
        return
    sites = [*SUMMED, *(["resid_mid"] if not isinstance(taps["resid_mid"], Missing) else [])]
    places = [(site, layer) for site in sites for layer in range(last_layer + 1)]
    rows = activations(model, inputs, places)
    epsilon = _epsilon(rows["resid_pre", 0])
    total = rows["resid_pre", 0].double()
    room = total.abs()
    for layer in range(last_layer + 1):
        for part, whole in (("attn_out", "resid_mid"), ("mlp_out", "resid_post")):
            term = rows[part, layer].double()
            total, room = total + term, room + total.abs() + term.abs()
            if (whole, layer) in rows:
                _compare(name, model, (whole, layer), rows, total, _ROUNDINGS * epsilon * room)


def _compare(
    name: str,
    model: Any,
    place: Place,
    rows: Mapping[Place, Tensor],
    total: Tensor,
    allowed: Tensor,
) -> None:
    error = (rows[place].double() - total).abs()
    # What is not finite is screened, and named, where rows are taken.
    if bool(((error <= allowed) | ~error.isfinite()).all()):
        return
    site, layer = place
    raise UserError(
        f"the residual stream does not add up: {site} is not what came before plus what the block "
        f"adds (largest difference {float(error.max()):.3g}, rounding explains "
        f"{float(allowed.max()):.3g})",
        where=f"{name} model, family {model.config.model_type}, layer {layer}",
        hint=f"the sites in jobs/families/{model.config.model_type}.py do not fit this model",
    )


def _epsilon(value: Tensor) -> float:
    import torch

    return float(torch.finfo(value.dtype).eps)
