"""What training an adapter leaves beside `adapter/`: `model/`, its base with it added, in fp32."""

import gc
from typing import Any

from jobs.models.adapter_folder import read_adapter_config
from jobs.models.adapters import merge_adapter
from jobs.worker import ranks
from jobs.worker.work import Work


def merge_into_base(work: Work) -> dict[str, Any]:
    """Write `model/`, by the first rank; returns the fact `adapter`.

    The adapter is added to the base as it is stored, whatever it was quantised to in training. No
    engine may be at work any more: it would have the base in pieces.
    """
    if not ranks.is_first():
        return {}
    gc.collect()  # the trained model: trainers are rings of references
    folder = work.folder / "adapter"
    quantised = work.params.lora.quantised
    beside = "the base in fp32" if quantised is None else f"the base in {quantised}"
    work.progress(None, "merging the adapter into its base")
    merge_adapter(work.input("model").directory("model"), folder, work.folder / "model")
    return {**read_adapter_config(folder).facts, "trained_beside": beside}
