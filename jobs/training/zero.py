"""DeepSpeed's ZeRO as our engines use it: its settings, what of them is in force, its weights.

The stages differ in what they divide among the ranks; see `jobs/training/engines/zero*.py`.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jobs.training.in_force import require_layout
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe
from jobs.worker import ranks

BUCKET = 50_000_000
"""Elements that are sent at a time: 200 MB, large enough for a network, small beside a model."""

KEPT_WHOLE = 4096
"""Elements up to which stage 3 leaves a weight undivided: norms and biases, which are asked for
often and hold little."""


def arguments(stage: int, layout: Layout, recipe: Recipe) -> Mapping[str, Any]:
    """Arguments of a Trainer."""
    # DeepSpeed computes under autocast itself; told of bf16, it would keep the weights in it.
    return {"deepspeed": settings(stage, layout, recipe), "bf16": False}


def settings(stage: int, layout: Layout, recipe: Recipe) -> dict[str, Any]:
    """DeepSpeed's configuration, every choice written out.

    fp32 weights whatever is computed in, no scaling of losses, our own optimizer and schedule.
    """
    return {
        "train_batch_size": recipe.global_batch,
        "train_micro_batch_size_per_gpu": layout.micro_batch,
        "gradient_accumulation_steps": layout.accumulation(recipe.global_batch),
        "gradient_clipping": recipe.max_grad_norm,
        "zero_allow_untested_optimizer": True,
        # Its own Adam for processors would have to be compiled where the job runs.
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": False},
        "fp16": {"enabled": False},
        "torch_autocast": {
            "enabled": recipe.dtype == "bfloat16",
            "dtype": "bfloat16",
            # Gradients and weights of these modules would be sent in 16 bits.
            "lower_precision_safe_modules": [],
        },
        "communication_data_type": "fp32",
        "prescale_gradients": False,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
        "zero_optimization": _division(stage, layout),
    }


def _division(stage: int, layout: Layout) -> dict[str, Any]:
    place = {"device": "cpu", "pin_memory": layout.num_gpus > 0}
    nowhere = {"device": "none"}
    division: dict[str, Any] = {
        "stage": stage,
        "contiguous_gradients": True,
        "reduce_scatter": True,
        "overlap_comm": layout.num_gpus > 0 and stage > 1,
        "round_robin_gradients": False,
        "reduce_bucket_size": BUCKET,
        "allgather_bucket_size": BUCKET,
        "offload_optimizer": place if layout.offload else nowhere,
    }
    if stage < 3:
        return division
    return division | {
        "offload_param": place if layout.offload else nowhere,
        "stage3_prefetch_bucket_size": BUCKET,
        "stage3_param_persistence_threshold": KEPT_WHOLE,
        "stage3_max_live_parameters": 10**9,
        "stage3_max_reuse_distance": 10**9,
        "stage3_gather_16bit_weights_on_model_save": False,
        "sub_group_size": 10**9,
    }


@contextmanager
def session(stage: int, layout: Layout, recipe: Recipe) -> Iterator[None]:
    """While it stands, `from_pretrained` gives each rank its own part of the weights (stage 3).

    Also brings up a process group for a single rank, which DeepSpeed does not do without.
    """
    import deepspeed
    from transformers.integrations.deepspeed import HfDeepSpeedConfig, unset_hf_deepspeed_config

    # On processors it would compile an extension to talk through shared memory. A build that is
    # killed leaves a lock behind, on which every later one of this user waits for ever.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    with _group(layout):
        deepspeed.init_distributed(auto_mpi_discovery=False)
        # It is known by a weak reference, for as long as somebody holds it.
        described = HfDeepSpeedConfig(settings(stage, layout, recipe))
        try:
            yield
        finally:
            del described
            unset_hf_deepspeed_config()
            # Accelerate leaves it behind, and the next run of this process would be DeepSpeed's.
            os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)


@contextmanager
def _group(layout: Layout) -> Iterator[None]:
    import deepspeed
    import torch.distributed as dist

    if dist.is_initialized():
        yield
        return
    assert layout.num_ranks == 1, "torch's process group does not stand"
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    before = {name: os.environ.get(name) for name in alone}
    os.environ.update(alone)
    backend = "nccl" if layout.num_gpus else "gloo"
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()
        deepspeed.comm.comm.cdb = None  # what it knows of the group
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def check(stage: int, trainer: Any, layout: Layout) -> Mapping[str, Any]:
    """What is in force, as facts. Raises AssertionError where it is not what was planned."""
    import torch
    from deepspeed import DeepSpeedEngine

    engine, recipe = trainer.model_wrapped, trainer.supervision.recipe
    assert isinstance(engine, DeepSpeedEngine), type(engine)
    found = {
        "zero_stage": int(engine.zero_optimization_stage()),
        "offload": _offloads(engine),
        "autocast": bool(engine.torch_autocast_enabled()),
        "clipped_to": float(engine.gradient_clipping()),
        "ranks_of_engine": int(engine.dp_world_size),
    }
    planned = {
        "zero_stage": stage,
        "offload": layout.offload,
        "autocast": recipe.dtype == "bfloat16",
        "clipped_to": recipe.max_grad_norm,
        "ranks_of_engine": layout.num_ranks,
    }
    assert found == planned, f"in force {found}, planned {planned}"
    masters = {weight.dtype for weight in _masters(engine)}
    assert masters == {torch.float32}, f"master weights are {masters}"
    return {**require_layout(trainer, layout), **found}


def _offloads(engine: Any) -> bool:
    place = engine.zero_offload_optimizer()
    return place is not None and str(getattr(place.device, "value", place.device)) == "cpu"


def _masters(engine: Any) -> list[Any]:
    """The weights that the optimizer moves, as this rank has them."""
    if engine.zero_optimization_stage() == 3:
        return list(engine.optimizer.fp32_partitioned_groups_flat)
    return list(engine.optimizer.single_partition_of_fp32_groups)


def copy_whole(weight: Any) -> Any:
    """All of a divided weight in host memory, on the first rank; all ranks call it."""
    import deepspeed

    with deepspeed.zero.GatheredParameters([weight]):
        return weight.detach().float().cpu().clone() if ranks.is_first() else None
