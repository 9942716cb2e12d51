"""The sites must add up: what is read is what the blocks really add, and what neurons write.

resid_post(l) = resid_pre(0) + sum over j <= l of (attn_out(j) + mlp_out(j)), in the base, in the
aligned model and so in δ; mlp_act is as wide as the MLP, gate times linear where there is a gate,
and makes mlp_out. Wrong sites, fused residuals, norms after a block and parallel blocks break it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.models.family import NEURON_SITES, Tap, family_of_config
from jobs.models.shape import read_shape
from jobs.taps.activations import Inputs, read_activations
from jobs.taps.taps import Place, blocks_of, taps_of

if TYPE_CHECKING:
    from torch import Tensor

SUMMED = ("resid_pre", "attn_out", "mlp_out", "resid_post")
"""Sites that the sum needs."""
_ROUNDINGS = 4
"""Roundings of the largest term allowed per addition; an exact sum needs at most one."""
_WRITTEN_WITHIN = 0.05
"""Allowed share of the norm of mlp_out: bf16 takes up to 0.01, another site is off by about 1."""


def check_residual_stream(name: str, model: Any, inputs: Inputs, last_layer: int) -> None:
    """Raise UserError unless the sites of `model` add up, to rounding, in blocks 0 to `last_layer`.

    Neurons are checked in block `last_layer`. Sites that the family lacks are left out; without
    one of SUMMED there is no sum to check.
    """
    taps = taps_of(model)
    shown = [site for site, tap in taps.items() if isinstance(tap, Tap)]
    summed = set(SUMMED) <= set(shown)
    stream = [site for site in shown if site not in NEURON_SITES] if summed else []
    neurons = [(site, last_layer) for site in shown if site in NEURON_SITES]
    places = [(site, layer) for site in stream for layer in range(last_layer + 1)]
    # A model that lies on several devices shows its rows there; sums are made on one.
    found = read_activations(model, inputs, places + neurons)
    rows = {place: each.to(inputs.device) for place, each in found.items()}
    if summed:
        _check_sum(name, model, rows, last_layer)
    _check_neurons(name, model, rows, last_layer)


def _check_sum(name: str, model: Any, rows: Mapping[Place, Tensor], last_layer: int) -> None:
    epsilon = _epsilon(rows["resid_pre", 0])
    total = rows["resid_pre", 0].double()
    room = total.abs()
    for layer in range(last_layer + 1):
        for part, whole in (("attn_out", "resid_mid"), ("mlp_out", "resid_post")):
            term = rows[part, layer].double()
            if term.shape != total.shape:
                raise _wrong(name, model, layer, f"{part} is not as wide as the residual stream")
            total, room = total + term, room + total.abs() + term.abs()
            if (whole, layer) not in rows:
                continue
            _compare(
                (name, model, layer),
                f"the residual stream does not add up: {whole} is not what came before plus what "
                "the block adds",
                (rows[whole, layer], total, _ROUNDINGS * epsilon * room),
            )


def _check_neurons(name: str, model: Any, rows: Mapping[Place, Tensor], layer: int) -> None:
    width = read_shape(family_of_config(model.config).FIELDS, model.config).d_mlp
    for site in NEURON_SITES:
        if (site, layer) in rows and rows[site, layer].shape[-1] != width:
            raise _wrong(name, model, layer, f"{site} does not have the {width} neurons of the MLP")
    if ("mlp_gate", layer) in rows:
        product = rows["mlp_gate", layer].double() * rows["mlp_linear", layer].double()
        allowed = _ROUNDINGS * _epsilon(rows["mlp_act", layer]) * product.abs()
        text = "mlp_act is not mlp_gate times mlp_linear"
        _compare((name, model, layer), text, (rows["mlp_act", layer], product, allowed))
    if ("mlp_out", layer) in rows and ("mlp_act", layer) in rows:
        found, text = rows["mlp_out", layer], "mlp_out is not what the neurons of mlp_act write"
        written = _written(model, rows["mlp_act", layer], layer, found.shape[-1])
        if written is None:
            raise _wrong(name, model, layer, text)
        allowed = _WRITTEN_WITHIN * found.double().norm(dim=-1, keepdim=True)
        own = written.to(found.device).double()
        _compare((name, model, layer), text, (found, own, allowed))


def _written(model: Any, neurons: Tensor, layer: int, d_model: int) -> Tensor | None:
    """What the down projection, and a norm after it, make of neurons; None where neither is."""
    import torch

    taps, block = taps_of(model), blocks_of(model)[layer]
    down, out = taps["mlp_act"], taps["mlp_out"]
    assert isinstance(down, Tap) and isinstance(out, Tap)
    if down.side != "in" or out.side != "out":
        return None
    with torch.inference_mode():
        written: Tensor = block.get_submodule(down.module)(neurons)
        if written.shape[-1] != d_model:
            return None
        if f"{down.module}.".startswith(f"{out.module}."):  # the MLP as a whole, or its last part
            return written
        after = block.get_submodule(out.module)
        if any(True for _ in after.children()):  # not a norm or a dropout
            return None
        normed: Tensor = after(written)
    return normed


def _compare(
    where: tuple[str, Any, int], text: str, compared: tuple[Tensor, Tensor, Tensor]
) -> None:
    """Raise UserError where found and expected differ by more than is allowed."""
    found, expected, allowed = compared
    if found.shape != expected.shape:
        raise _wrong(*where, text)
    error = (found.double() - expected).abs()
    # What is not finite is screened, and named, where rows are taken.
    if not bool(((error <= allowed) | ~error.isfinite()).all()):
        largest = f"largest difference {float(error.max()):.3g}"
        raise _wrong(*where, f"{text} ({largest}, rounding explains {float(allowed.max()):.3g})")


def _wrong(name: str, model: Any, layer: int, text: str) -> UserError:
    family = model.config.model_type
    return UserError(
        text,
        where=f"{name} model, family {family}, layer {layer}",
        hint=f"the sites in jobs/models/families/{family}.py do not fit this model",
    )


def _epsilon(value: Tensor) -> float:
    import torch

    return float(torch.finfo(value.dtype).eps)
