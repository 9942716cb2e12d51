"""Calibrations: what jobs measured on an accelerator took, over what a plan expected of them.

`make gpu-check` writes one file per product; where there is none, nothing is corrected.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from cluster.machine.accelerators import find_accelerator
from cluster.machine.resources import Resources
from jobs.kind import Calibration

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"
"""Where calibrations lie, beside the other results of benchmarks."""
_Factor = Annotated[float, Field(gt=0.1, lt=10)]
"""Beyond these, something else was measured."""


class _Measured(TypedDict, total=False):
    """What was measured of one kind."""

    memory: _Factor
    """Measured peak over expected."""
    hours: _Factor
    """Measured wall time over expected."""
    machine: str
    """Where."""
    date: str
    """When."""


_FILE = TypeAdapter(dict[str, _Measured])


def calibration_file(product: str) -> Path:
    """Return the file of a product, `calibration-H100.json`: kind -> what was measured."""
    return FOLDER / f"calibration-{product.replace(' ', '-')}.json"


def calibration_of(kind: str, machines: Sequence[Resources]) -> Calibration:
    """Return the calibration of a kind on the GPUs of these machines; none where they differ."""
    products = {
        product.name
        for node in {(node.gpu_name, node.gpu_memory_gb) for node in machines if node.num_gpus}
        if (product := find_accelerator(*node)) is not None
    }
    if len(products) != 1:
        return Calibration()
    measured = _read(calibration_file(products.pop())).get(kind, {})
    return Calibration(memory=measured.get("memory", 1.0), hours=measured.get("hours", 1.0))


@lru_cache(maxsize=16)
def _read(file: Path) -> Mapping[str, _Measured]:
    try:
        return _FILE.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return {}
