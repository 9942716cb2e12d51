"""How far the weights themselves moved: relative norm and cosine of every tensor.

Lee et al. 2024, section 5.1: after DPO every parameter of GPT-2 medium has a cosine above 0.99 with
what it was. Relative norm 0 upwards, cosine -1 to 1; scaling both models changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64

from analysis.estimates.evaluation import Measured, missing, with_number
from analysis.estimates.intervals import Estimate
from analysis.measurement import Measurement
from analysis.status import Status

DEFINITION = (
    "v1: norm of aligned - base over the norm of base, all tensors of the block together; "
    "_least_cosine: smallest cosine of a tensor with what it was, tensors that are or were zero "
    "left out; _whole: the same over all tensors of the model"
)
REPORTS = (
    "weight_drift",
    "weight_drift_least_cosine",
    "weight_drift_whole",
    "weight_drift_whole_least_cosine",
)
NEEDS_OFFSETS = False
HEADLINES = {"weight_drift_whole": 220}
AXIS_LABEL = "norm of the weights' change over their norm"
RANGES = dict.fromkeys(REPORTS[::2], (0.0, None)) | dict.fromkeys(REPORTS[1::2], (-1.0, 1.0))
_CHUNK = 2**22


@dataclass(frozen=True, kw_only=True)
class TensorDrift:
    """Sums over the entries of one tensor, in fp64."""

    name: str
    """Its name in the checkpoint."""
    shape: tuple[int, ...]
    """Its shape."""
    base_square: float
    """Squared norm in the base."""
    aligned_square: float
    """Squared norm in the aligned model."""
    product: float
    """Inner product of both."""
    moved_square: float
    """Squared norm of the difference."""
    rounding_square: float
    """Squared norm of what storing the base as the aligned model is stored takes away."""

    @classmethod
    def of(
        cls,
        name: str,
        base: Float[np.ndarray, "*shape"],
        aligned: Float[np.ndarray, "*shape"],
        stored: str = "float32",
    ) -> TensorDrift:
        """Sum over both states of a tensor, a few million entries at a time.

        Args:
            name: of the tensor.
            base: its entries in the base.
            aligned: its entries in the aligned model.
            stored: the dtype in which the aligned model's were stored.
        """
        sums = np.zeros(5)
        first, second = base.reshape(-1), aligned.reshape(-1)
        for start in range(0, len(first), _CHUNK):
            a = first[start : start + _CHUNK].astype(np.float64)
            b = second[start : start + _CHUNK].astype(np.float64)
            lost = rounded(a, stored) - a
            sums += a @ a, b @ b, a @ b, (b - a) @ (b - a), lost @ lost
        return cls(
            name=name,
            shape=base.shape,
            base_square=float(sums[0]),
            aligned_square=float(sums[1]),
            product=float(sums[2]),
            moved_square=float(sums[3]),
            rounding_square=float(sums[4]),
        )

    @property
    def relative_norm(self) -> float | None:
        """Norm of the difference over that of the base; None where the base is zero."""
        return (self.moved_square / self.base_square) ** 0.5 if self.base_square > 0 else None

    @property
    def cosine(self) -> float | None:
        """Of both states; exactly 1 where nothing moved, None where one is zero."""
        scale = (self.base_square * self.aligned_square) ** 0.5
        if not scale > 0:
            return None
        return float(np.clip(self.product / scale, -1, 1)) if self.moved_square else 1.0


def measure(tensors: Iterable[TensorDrift], *, whole: bool) -> list[Measurement]:
    """Measure one block, or the whole model."""
    drifts = list(tensors)
    norm, least = REPORTS[2:] if whole else REPORTS[:2]
    base = sum(tensor.base_square for tensor in drifts)
    if not 0 < base < np.inf or not np.isfinite([tensor.moved_square for tensor in drifts]).all():
        reason = "the weights of the base are all zero, or not finite"
        return [
            missing(Measurement(metric=name, definition=DEFINITION), reason)
            for name in (norm, least)
        ]
    moved = sum(tensor.moved_square for tensor in drifts)
    cosines = [tensor.cosine for tensor in drifts if tensor.cosine is not None]
    values = [
        _exact(norm, (moved / base) ** 0.5, len(drifts)),
        _exact(least, min(cosines), len(cosines)),
    ]
    if moved == 0:
        return _unmoved(values, "no weight changed")
    floor = rounding_floor(drifts)
    if moved <= sum(tensor.rounding_square for tensor in drifts):
        return _unmoved(values, f"storing the base like the aligned model moves it by {floor:.3g}")
    return values


def rounding_floor(tensors: Sequence[TensorDrift]) -> float:
    """Return the `weight_drift` that storing alone would cause; the base is not zero."""
    lost = sum(tensor.rounding_square for tensor in tensors)
    return float((lost / sum(tensor.base_square for tensor in tensors)) ** 0.5)


def rounded(
    values: Float64[np.ndarray, " entries"], stored: str
) -> Float64[np.ndarray, " entries"]:
    """Round values to what a dtype holds, to the nearest, ties to even."""
    if stored != "bfloat16":
        return values.astype(stored).astype(np.float64)
    bits = values.astype(np.float32).view(np.uint32)
    bits = (bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)) & np.uint32(0xFFFF0000)
    return np.asarray(bits.view(np.float32), dtype=np.float64)


def _unmoved(values: Sequence[Measurement], reason: str) -> list[Measurement]:
    return [replace(v, status=Status.BELOW_NOISE_FLOOR, reason=reason) for v in values]


def _exact(name: str, value: float, num_tensors: int) -> Measurement:
    """Return a number that no prompt enters: it has no interval."""
    result = Measured(estimate=Estimate(value=value), num_rows=num_tensors, groups=None)
    return with_number(Measurement(metric=name, definition=DEFINITION), result)
