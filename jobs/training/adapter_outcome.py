"""What training an adapter leaves: `adapter/`, and `model/`, its base with it added, in fp32."""

from typing import Any

from jobs.models.adapter_folder import read_adapter_config
from jobs.models.adapters import merge_adapter
from jobs.training import ranks
from jobs.training.lora import save_adapter
from jobs.work import Work


def write_adapter_and_model(work: Work, model: Any) -> dict[str, Any]:
    """Write both; all ranks call it, the first one writes. Returns the fact `adapter`.

    The adapter is added to the base as it is stored, whatever it was quantised to in training.
    """
    folder = work.folder / "adapter"
    save_adapter(model, folder)
    if ranks.is_first():
        work.progress(None, "merging the adapter into its base")
        merge_adapter(work.input("model").directory("model"), folder, work.folder / "model")
    ranks.barrier()
    return {**read_adapter_config(folder).facts, "trained_beside": _trained_beside(work)}


def _trained_beside(work: Work) -> str:
    quantised = work.params.lora.quantised
    return "the base in fp32" if quantised is None else f"the base in {quantised}"
