"""`Zero`: DeepSpeed's ZeRO as an engine: its configuration, what of it is in force, its weights.

The stages differ in what they divide among the ranks; see `jobs/training/engines/zero*.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from jobs.training.engine import Engine, Held
from jobs.training.layout import Layout
from jobs.training.layout_check import require_layout
from jobs.training.recipe import Recipe
from jobs.training.trained_weights import gather_state, save_whole

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine
    from torch import Tensor

    from jobs.training.supervision import Supervised

BUCKET = 50_000_000
"""Elements that are sent at a time: 200 MB, large enough for a network, small beside a model."""

KEPT_WHOLE = 4096
"""Elements up to which stage 3 leaves a weight undivided: norms and biases, which are read often
and hold little."""


class Zero(Engine):
    """One stage of ZeRO; needs the extra `deepspeed`."""

    CAN_OFFLOAD = True
    STAGE: ClassVar[int]
    """1 divides moments, 2 gradients as well, 3 weights as well."""

    def arguments(self, layout: Layout, recipe: Recipe) -> Mapping[str, object]:
        """Return the Trainer's arguments for DeepSpeed."""
        # DeepSpeed computes under autocast itself; told of bf16, it would keep the weights in it.
        return {"deepspeed": settings(self.STAGE, layout, recipe), "bf16": False}

    @contextmanager
    def session(self, layout: Layout, recipe: Recipe) -> Iterator[None]:
        """Have `from_pretrained` give each rank its own part of the weights (stage 3).

        Also brings up a process group for a single rank, which DeepSpeed does not do without.
        """
        import deepspeed
        from transformers.integrations.deepspeed import HfDeepSpeedConfig, unset_hf_deepspeed_config

        if not layout.num_gpus:
            # DeepSpeed would compile an extension to talk through shared memory. A build that is
            # killed leaves a lock behind, on which every later one of this user waits for ever.
            deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        with _process_group(layout), _own_products():
            deepspeed.init_distributed(auto_mpi_discovery=False)
            # transformers keeps a weak reference to it: it is in force while we hold it.
            config = HfDeepSpeedConfig(settings(self.STAGE, layout, recipe))
            try:
                yield
            finally:
                del config
                unset_hf_deepspeed_config()
                # accelerate leaves this behind, and the next run of the process would be
                # DeepSpeed's.
                os.environ.pop("ACCELERATE_USE_DEEPSPEED", None)

    def check(self, trainer: Supervised, layout: Layout) -> Mapping[str, object]:
        """Require DeepSpeed's engine with the stage, offload, precision and ranks of the plan."""
        import torch
        from deepspeed import DeepSpeedEngine

        engine, recipe = trainer.model_wrapped, trainer.supervision.recipe
        assert isinstance(engine, DeepSpeedEngine), type(engine)
        in_force = {
            "zero_stage": int(engine.zero_optimization_stage()),
            "offload": _offloads(engine),
            "autocast": bool(engine.torch_autocast_enabled()),
            "clipped_to": float(engine.gradient_clipping()),
            "ranks_of_engine": int(engine.dp_world_size),
        }
        planned = {
            "zero_stage": self.STAGE,
            "offload": layout.offload,
            "autocast": recipe.settings.dtype == "bfloat16",
            "clipped_to": recipe.settings.max_grad_norm,
            "ranks_of_engine": layout.num_ranks,
        }
        assert in_force == planned, f"in force {in_force}, planned {planned}"
        masters = {weight.dtype for weight in _master_weights(engine)}
        assert masters == {torch.float32}, f"master weights are {masters}"
        return {**require_layout(trainer, layout), **in_force}

    def export(self, trainer: Supervised, folder: Path) -> None:
        """Write the trained weights; divided ones are gathered to the first rank one by one."""
        if Held.WEIGHTS not in self.SHARDED:
            super().export(trainer, folder)
        else:
            save_whole(trainer.model, folder, gather_state(trainer.model))


def settings(stage: int, layout: Layout, recipe: Recipe) -> dict[str, object]:
    """Return DeepSpeed's configuration, every choice written out.

    fp32 weights whatever is computed in, no scaling of losses, our own optimizer and schedule.
    """
    return {
        "train_batch_size": recipe.settings.global_batch,
        "train_micro_batch_size_per_gpu": layout.micro_batch,
        "gradient_accumulation_steps": layout.accumulation(recipe.settings.global_batch),
        "gradient_clipping": recipe.settings.max_grad_norm,
        "zero_allow_untested_optimizer": True,
        # DeepSpeed's own Adam for processors would have to be compiled where the job runs.
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": False},
        "fp16": {"enabled": False},
        "torch_autocast": {
            "enabled": recipe.settings.dtype == "bfloat16",
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


def _division(stage: int, layout: Layout) -> dict[str, object]:
    place = {"device": "cpu", "pin_memory": layout.num_gpus > 0}
    nowhere = {"device": "none"}
    division: dict[str, object] = {
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
def _own_products() -> Iterator[None]:
    """Put torch's own `linear` back: stage 3 replaces it, and says that this persists."""
    from torch.nn import functional

    own = functional.linear
    try:
        yield
    finally:
        functional.linear = own


@contextmanager
def _process_group(layout: Layout) -> Iterator[None]:
    """Bring up a process group of one rank, unless torch has one."""
    import deepspeed
    import torch.distributed as dist

    if dist.is_initialized():
        yield
        return
    assert layout.num_ranks == 1, "torch has no process group"
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
    before = {name: os.environ.get(name) for name in alone}
    os.environ.update(alone)
    backend = "nccl" if layout.num_gpus else "gloo"
    store = dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    try:
        yield
    finally:
        if deepspeed.comm.is_initialized():
            # DeepSpeed's own, which forgets its groups too: it would use them in the next job.
            deepspeed.comm.destroy_process_group()
            deepspeed.comm.comm.cdb = None
        else:
            dist.destroy_process_group()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _offloads(engine: DeepSpeedEngine) -> bool:
    place = engine.zero_offload_optimizer()
    return place is not None and str(getattr(place.device, "value", place.device)) == "cpu"


def _master_weights(engine: DeepSpeedEngine) -> list[Tensor]:
    """Return the fp32 weights that the optimizer moves, as this rank has them."""
    if engine.zero_optimization_stage() == 3:
        return list(engine.optimizer.fp32_partitioned_groups_flat)
    return list(engine.optimizer.single_partition_of_fp32_groups)
