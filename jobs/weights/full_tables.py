"""The full tables of kind `weights`: every pair of a place and a layer, and every tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from analysis.weight_metrics.weight_drift import TensorDrift

SHIFTS = "value_vector_shift.parquet"
DRIFTS = "weight_drift.parquet"

SHIFT_COLUMNS = pa.schema(
    [
        ("site", pa.string()),
        ("layer", pa.int64()),  # where mean δ is taken
        ("position", pa.string()),
        ("value_layer", pa.int64()),  # whose value vectors
        ("num_vectors", pa.int64()),  # that moved
        ("num_still", pa.int64()),  # that did not
        ("median", pa.float64()),
        ("low", pa.float64()),  # 95 % interval of the median
        ("high", pa.float64()),
        ("null_low", pa.float64()),  # the median with random directions
        ("null_high", pa.float64()),
        ("mode", pa.float64()),
        *((f"p{share:02d}", pa.float64()) for share in (5, 25, 50, 75, 95)),
        ("counts", pa.list_(pa.int64())),  # 200 bins from -1 to 1
    ]
)
DRIFT_COLUMNS = pa.schema(
    [
        ("name", pa.string()),
        ("shape", pa.list_(pa.int64())),
        ("relative_norm", pa.float64()),
        ("cosine", pa.float64()),
        ("base_norm", pa.float64()),
        ("moved_norm", pa.float64()),
    ]
)


def tabulate_shifts(lines: Sequence[Mapping[str, object]]) -> pa.Table:
    """Make the table of `value_vector_shift`: a row per place and layer of value vectors."""
    keys = ("site", "layer", "position", "value_layer")
    ordered = sorted(lines, key=lambda line: tuple(line[key] for key in keys))
    return pa.Table.from_pylist(ordered, schema=SHIFT_COLUMNS)


def tabulate_drifts(tensors: Sequence[TensorDrift]) -> pa.Table:
    """Make the table of `weight_drift`: a row per tensor, sorted by name."""
    lines = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "relative_norm": tensor.relative_norm,
            "cosine": tensor.cosine,
            "base_norm": tensor.base_square**0.5,
            "moved_norm": tensor.moved_square**0.5,
        }
        for tensor in sorted(tensors, key=lambda tensor: tensor.name)
    ]
    return pa.Table.from_pylist(lines, schema=DRIFT_COLUMNS)
