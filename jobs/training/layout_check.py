"""What is really in force once a Trainer has prepared its model, held against what was planned.

Libraries fall back in silence (accelerate 1.15 ignores FSDP on a processor), so nothing is taken
for granted that can be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.training.layout import Layout

if TYPE_CHECKING:
    from jobs.training.engine import Engine
    from jobs.training.supervision import Supervised


def check_before_training(trainer: Supervised, engine: Engine, layout: Layout) -> dict[str, object]:
    """Have the engine check what is in force, between preparation and the first step.

    Returns:
        A mapping that gets the engine's facts once training has begun.
    """
    from transformers import TrainerCallback

    in_force: dict[str, object] = {}

    class Check(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *args: object, **kwargs: object) -> None:
            in_force.update(engine.check(trainer, layout))

    trainer.add_callback(Check())
    return in_force


def require_layout(trainer: Supervised, layout: Layout) -> dict[str, object]:
    """Return what every engine promises, as facts: ranks, batches, and the dtype of the weights.

    Raises:
        AssertionError: the first thing that is not as planned.
    """
    import torch

    recipe, arguments = trainer.supervision.recipe, trainer.args
    facts = {
        "wrapped_in": type(trainer.model_wrapped).__name__,
        "ranks": trainer.accelerator.num_processes,
        "micro_batch": arguments.per_device_train_batch_size,
        "accumulation": arguments.gradient_accumulation_steps,
    }
    # One process computes on one GPU, however many are visible.
    assert not isinstance(trainer.model_wrapped, torch.nn.DataParallel), facts
    assert facts["ranks"] == layout.num_ranks, f"{facts['ranks']} ranks train, not as {layout}"
    assert facts["micro_batch"] == layout.micro_batch, f"{facts}, planned {layout}"
    assert facts["accumulation"] == layout.accumulation(recipe.settings.global_batch), (
        f"{facts}, {layout}"
    )
    device = trainer.accelerator.device.type
    assert (device == "cuda") == (layout.num_gpus > 0), f"it computes on {device}, planned {layout}"
    trained = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    assert trained, "no weight is trained"
    dtypes = {weight.dtype for weight in trained}
    assert dtypes == {torch.float32}, f"weights are trained in {dtypes}"
    return {**facts, "device": device, "weights": "float32", "optimizer": _innermost(trainer)}


def _innermost(trainer: Supervised) -> str:
    """Return the class name of torch's own optimizer, under whatever is wrapped around it."""
    optimizer: object = trainer.optimizer
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    planned = {"rmsprop": "RMSprop", "adamw": "AdamW"}[
        trainer.supervision.recipe.settings.optimizer
    ]
    assert type(optimizer).__name__ == planned, type(optimizer)
    return planned
