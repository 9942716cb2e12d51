"""PyTorch's FSDP2: weights, gradients and moments are divided tensor by tensor, block by block.

We divide the model ourselves. accelerate 1.15 would ignore the wish on a processor, and TRL 1.16
would load a second model as the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import UserError
from jobs.training.engine import Engine, Held
from jobs.training.layout import Layout
from jobs.training.layout_check import require_layout
from jobs.training.recipe import Recipe
from jobs.training.resume.fsdp_state import divide_again
from jobs.training.trained_weights import gather_state, save_whole

if TYPE_CHECKING:
    from jobs.training.supervision import Supervised


class Fsdp2(Engine):
    """PyTorch's `fully_shard`."""

    SHARDED = frozenset(Held)
    CAN_KEEP_BEST = False

    def arguments(self, layout: Layout, recipe: Recipe) -> Mapping[str, object]:
        """Return the Trainer's arguments for FSDP2.

        Gradients are sent after each forward pass: kept back, they would be whole.
        """
        return {"accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}}}

    def session(self, layout: Layout, recipe: Recipe) -> AbstractContextManager[None]:
        """Refuse a single rank, with a UserError; set up nothing beyond torch's process group."""
        if layout.num_ranks == 1:
            raise UserError(
                "engine 'fsdp2' divides weights among ranks, and this job has one",
                where="engine",
                hint="give it num_ranks, or engine ddp",
            )
        return super().session(layout, recipe)

    def prepare(self, trainer: Supervised, layout: Layout) -> None:
        """Divide each block by itself, then the weights outside the blocks."""
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

    def check(self, trainer: Supervised, layout: Layout) -> Mapping[str, object]:
        """Require that every trained weight is divided among all ranks."""
        from torch.distributed.fsdp import FSDPModule
        from torch.distributed.tensor import DTensor

        trained = [weight for weight in trainer.model.parameters() if weight.requires_grad]
        assert isinstance(trainer.model, FSDPModule), type(trainer.model)
        assert all(isinstance(weight, DTensor) for weight in trained), "a weight is not divided"
        assert {weight.device_mesh.size() for weight in trained} == {layout.num_ranks}
        held = sum(weight.to_local().numel() for weight in trained)
        whole = sum(weight.numel() for weight in trained)
        return {**require_layout(trainer, layout), "share_of_weights": round(held / whole, 3)}

    def export(self, trainer: Supervised, folder: Path) -> None:
        """Write the trained weights, each gathered to the first rank by itself."""
        divide_again(trainer.model)
        save_whole(trainer.model, folder, gather_state(trainer.model))
