"""PyTorch's FSDP2: weights, gradients and moments are divided tensor by tensor, block by block.

We divide the model ourselves. accelerate 1.15 would ignore the wish on a processor, and TRL 1.16
would load a second model as the reference.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.training.engine import Held
from jobs.training.in_force import require_layout
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe
from jobs.training.resume.tensor_shards import put_apart
from jobs.training.whole_weights import gathered, save_whole
from jobs.worker import ranks

SHARDED = frozenset(Held)
NEEDS_GPU = False
CAN_OFFLOAD = False
CAN_KEEP_BEST = False


def arguments(layout: Layout, recipe: Recipe) -> Mapping[str, Any]:
    """See Engine. Gradients are sent after each forward pass: kept back, they would be whole."""
    return {"accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}}}


def session(layout: Layout, recipe: Recipe) -> AbstractContextManager[None]:
    """Nothing has to stand beyond torch's process group. Raises UserError for a single rank."""
    if layout.num_ranks == 1:
        raise UserError(
            "engine 'fsdp2' divides weights among ranks, and this job has one",
            where="engine",
            hint="give it num_ranks, or engine ddp",
        )
    return nullcontext()


def prepare(trainer: Any, layout: Layout) -> None:
    """See Engine: divide each block by itself, then what is left."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from jobs.models.family import family_of_config

    model = trainer.model
    mesh = init_device_mesh(trainer.accelerator.device.type, (layout.num_ranks,))
    for block in model.get_submodule(family_of_config(model.config).BLOCKS):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    # So that neither the Trainer nor accelerate wraps anything around it.
    trainer.is_distributed_loading_by_transformers = True


def check(trainer: Any, layout: Layout) -> Mapping[str, Any]:
    """See Engine."""
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    assert isinstance(trainer.model, FSDPModule), type(trainer.model)
    model: Any = trainer.model
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert all(isinstance(weight, DTensor) for weight in trained), "a weight is not divided"
    assert {weight.device_mesh.size() for weight in trained} == {layout.num_ranks}
    held = sum(weight.to_local().numel() for weight in trained)
    whole = sum(weight.numel() for weight in trained)
    return {**require_layout(trainer, layout), "share_of_weights": round(held / whole, 3)}


def export(trainer: Any, folder: Path) -> None:
    """See Engine."""
    put_apart(trainer.model)
    save_whole(trainer.model, folder, gathered(trainer.model, _copy_whole))


def _copy_whole(weight: Any) -> Any:
    whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
    return whole.detach().float().cpu() if ranks.is_first() else None
