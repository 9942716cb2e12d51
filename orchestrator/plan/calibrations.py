"""Calibrations: what `make gpu-check` measured on an accelerator, for plans of machines with it.

One file per product, beside the results of the benchmarks; where there is none, or machines have
several products, plans go by data sheets and closed forms alone.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from cluster.machine.accelerators import find_accelerator
from cluster.machine.resources import Resources
from jobs.kind import Calibration

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"
"""Where the files lie."""


class _Measured(TypedDict):
    """A file, as far as a plan reads it."""

    rates: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    """Fields of `Accelerator` -> per second."""
    training: list[dict[str, Any]]
    """Facts `memory` of short training runs."""


_FILE = TypeAdapter(_Measured)


def calibration_file(product: str) -> Path:
    """Return the file of a product, such as `calibration-H100.json`."""
    return FOLDER / f"calibration-{re.sub(r'[^0-9A-Za-z]+', '-', product).strip('-')}.json"


def calibration_of(machines: Sequence[Resources]) -> Calibration:
    """Return what was measured on the GPUs of these machines; nothing where they differ."""
    products = {
        product.name
        for node in {(node.gpu_name, node.gpu_memory_gb) for node in machines if node.num_gpus}
        if (product := find_accelerator(*node)) is not None
    }
    return _read(calibration_file(products.pop())) if len(products) == 1 else Calibration()


@lru_cache(maxsize=16)
def _read(file: Path) -> Calibration:
    try:
        measured = _FILE.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return Calibration()
    facts = [{"memory": found} for found in measured["training"]]
    return Calibration(rates=measured["rates"], training=facts)
