"""What is really in force once a Trainer has prepared its model, held against what was planned.

Libraries fall back in silence (accelerate 1.15 ignores FSDP on a processor), so nothing is taken
for granted that can be asked.
"""

from typing import Any

from jobs.training.engine import Engine
from jobs.training.layout import Layout


def check_before_training(trainer: Any, engine: Engine, layout: Layout) -> dict[str, Any]:
    """Have the engine check what is in force, between preparation and the first step.

    Returns:
        A mapping that holds what it found once training has begun.
    """
    from transformers import TrainerCallback

    found: dict[str, Any] = {}

    class Check(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            found.update(engine.check(trainer, layout))

    trainer.add_callback(Check())
    return found


def require_layout(trainer: Any, layout: Layout) -> dict[str, Any]:
    """What every engine promises, as facts: ranks, batches, and in which dtype weights are trained.

    Raises AssertionError for the first thing that is not as planned.
    """
    import torch

    recipe, given = trainer.supervision.recipe, trainer.args
    found = {
        "wrapped_in": type(trainer.model_wrapped).__name__,
        "ranks": trainer.accelerator.num_processes,
        "micro_batch": given.per_device_train_batch_size,
        "accumulation": given.gradient_accumulation_steps,
    }
    assert found["ranks"] == layout.num_ranks, f"{found['ranks']} ranks train, not as {layout}"
    assert found["micro_batch"] == layout.micro_batch, f"{found}, planned {layout}"
    assert found["accumulation"] == layout.accumulation(recipe.global_batch), f"{found}, {layout}"
    device = trainer.accelerator.device.type
    assert (device == "cuda") == (layout.num_gpus > 0), f"it computes on {device}, planned {layout}"
    trained = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    assert trained, "no weight is trained"
    dtypes = {weight.dtype for weight in trained}
    assert dtypes == {torch.float32}, f"weights are trained in {dtypes}"
    return {**found, "device": device, "weights": "float32", "optimizer": _innermost(trainer)}


def _innermost(trainer: Any) -> str:
    """The class of torch's own optimizer, under whatever is wrapped around it."""
    optimizer = trainer.optimizer
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    wanted = {"rmsprop": "RMSprop", "adamw": "AdamW"}[trainer.supervision.recipe.optimizer]
    assert type(optimizer).__name__ == wanted, type(optimizer)
    return wanted
