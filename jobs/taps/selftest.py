"""The self-test of a model's sites: blocks must add up to the residual stream, neurons to the MLP.

resid_post(l) = resid_pre(0) + sum over j <= l of (attn_out(j) + mlp_out(j)), in the base, in the
aligned model and so in δ; mlp_act is as wide as the MLP, gate times linear where there is a gate,
and makes mlp_out. Wrong sites, fused residuals, norms after a block and parallel blocks break it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from cluster.errors import UserError
from jobs.models.family import NEURON_SITES, Tap, family_of_config
from jobs.models.language_model import LanguageModel
from jobs.taps.activations import Inputs, read_activations
from jobs.taps.taps import Place, blocks_of, taps_of

SUMMED = ("resid_pre", "attn_out", "mlp_out", "resid_post")
"""Sites that the sum over blocks needs."""
_ROUNDINGS = 4
"""Roundings of the largest term allowed per addition; an exact sum needs at most one."""
_WRITTEN_WITHIN = 0.05
"""Allowed share of the norm of mlp_out: bf16 takes up to 0.01, another site is off by about 1."""


def check_residual_stream(name: str, model: LanguageModel, inputs: Inputs, last_layer: int) -> None:
    """Raise UserError unless the sites of `model` add up, to rounding, in blocks 0 to `last_layer`.

    Neurons are checked in block `last_layer`. Sites that the family lacks are left out; without
    one of SUMMED there is no sum to check.
    """
    present = [site for site, tap in taps_of(model).items() if isinstance(tap, Tap)]
    has_sum = set(SUMMED) <= set(present)
    stream = [site for site in present if site not in NEURON_SITES] if has_sum else []
    neurons = [(site, last_layer) for site in present if site in NEURON_SITES]
    places = [(site, layer) for site in stream for layer in range(last_layer + 1)]
    activations = read_activations(model, inputs, places + neurons)
    # A model that is spread over several devices returns rows on each; sums are made on one.
    rows = {place: value.to(inputs.device) for place, value in activations.items()}
    check = _SiteCheck(name, model, rows)
    if has_sum:
        check.residual_stream(last_layer)
    check.neurons(last_layer)


class _SiteCheck:
    """The rows [rows, d] of one model at all sites, compared with each other."""

    def __init__(self, name: str, model: LanguageModel, rows: Mapping[Place, Tensor]) -> None:
        self._name = name
        self._model = model
        self._rows = rows

    def residual_stream(self, last_layer: int) -> None:
        """Raise UserError unless every block adds attn_out and mlp_out to the stream."""
        rows = self._rows
        epsilon = _epsilon(rows["resid_pre", 0])
        total = rows["resid_pre", 0].double()
        scale = total.abs()
        for layer in range(last_layer + 1):
            for part, whole in (("attn_out", "resid_mid"), ("mlp_out", "resid_post")):
                term = rows[part, layer].double()
                if term.shape != total.shape:
                    raise self._error(layer, f"{part} is not as wide as the residual stream")
                total, scale = total + term, scale + total.abs() + term.abs()
                if (whole, layer) in rows:
                    self._compare(
                        layer,
                        f"the residual stream does not add up: {whole} is not the sum of the "
                        "stream before and of what the block adds",
                        actual=rows[whole, layer],
                        expected=total,
                        tolerance=_ROUNDINGS * epsilon * scale,
                    )

    def neurons(self, layer: int) -> None:
        """Raise UserError unless neurons are as wide as the MLP, and make its output."""
        rows, model = self._rows, self._model
        width = family_of_config(model.config).shape(model.config).d_mlp
        for site in NEURON_SITES:
            if (site, layer) in rows and rows[site, layer].shape[-1] != width:
                raise self._error(layer, f"{site} does not have the {width} neurons of the MLP")
        if ("mlp_gate", layer) in rows:
            product = rows["mlp_gate", layer].double() * rows["mlp_linear", layer].double()
            self._compare(
                layer,
                "mlp_act is not mlp_gate times mlp_linear",
                actual=rows["mlp_act", layer],
                expected=product,
                tolerance=_ROUNDINGS * _epsilon(rows["mlp_act", layer]) * product.abs(),
            )
        if ("mlp_out", layer) in rows and ("mlp_act", layer) in rows:
            output = rows["mlp_out", layer]
            text = "mlp_out is not what the neurons of mlp_act write"
            written = _written(model, rows["mlp_act", layer], layer, output.shape[-1])
            if written is None:
                raise self._error(layer, text)
            self._compare(
                layer,
                text,
                actual=output,
                expected=written.to(output.device).double(),
                tolerance=_WRITTEN_WITHIN * output.double().norm(dim=-1, keepdim=True),
            )

    def _compare(
        self, layer: int, text: str, *, actual: Tensor, expected: Tensor, tolerance: Tensor
    ) -> None:
        if actual.shape != expected.shape:
            raise self._error(layer, text)
        error = (actual.double() - expected).abs()
        # NaN and infinity are reported, with their unit, where rows are taken.
        if not bool(((error <= tolerance) | ~error.isfinite()).all()):
            largest = f"largest difference {float(error.max()):.3g}"
            raise self._error(
                layer, f"{text} ({largest}, rounding explains {float(tolerance.max()):.3g})"
            )

    def _error(self, layer: int, text: str) -> UserError:
        family = self._model.config.model_type
        return UserError(
            text,
            where=f"{self._name} model, family {family}, layer {layer}",
            hint=f"the sites in jobs/models/families/{family}.py do not fit this model",
        )


def _written(
    model: LanguageModel, neurons: Float[Tensor, "rows neurons"], layer: int, d_model: int
) -> Float[Tensor, "rows d"] | None:
    """Apply the down projection, and a norm after it, to neurons; None where neither is known."""
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


def _epsilon(value: Tensor) -> float:

    return float(torch.finfo(value.dtype).eps)
