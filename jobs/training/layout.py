"""`Layout`: how one training run lies on its machines. Execution: it never changes the experiment.

The global batch, the order of the pairs and the number of optimizer steps stay whatever the layout.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Ranks, engine, and what each rank holds at a time."""

    engine: str = "ddp"
    """A file of `jobs/training/engines/`."""
    num_ranks: int = 1
    """Processes that train together; one per GPU where there are GPUs."""
    num_nodes: int = 1
    """Nodes over which the ranks are spread evenly."""
    num_gpus: int = 0
    """GPUs of all ranks together; 0 computes on the processor."""
    micro_batch: int
    """Rows per forward pass of one rank."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass."""
    offload: bool = False
    """Keep optimizer state (zero3: weights too) in host memory."""

    def accumulation(self, global_batch: int) -> int:
        """Return the number of forward passes of a rank per optimizer step."""
        steps, rest = divmod(global_batch, self.micro_batch * self.num_ranks)
        assert steps and not rest, f"{self} does not divide a global batch of {global_batch}"
        return steps

    @property
    def execution(self) -> dict[str, object]:
        """The layout as execution params of `align`, by name."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def cannot_continue(self, before: "Layout") -> str | None:
        """Say why a checkpoint of a run in layout `before` cannot be continued in this one.

        None where it can: plain data parallel checkpoints are the whole model's, and how many rows
        a rank takes at a time is written nowhere in them.
        """
        if before.engine != self.engine:
            return f"it was written by engine {before.engine}, this run has {self.engine}"
        if self.engine == "ddp":
            return None
        if before.num_ranks != self.num_ranks:
            return (
                f"its {self.engine} shards are of {before.num_ranks} ranks, "
                f"this run has {self.num_ranks}"
            )
        if before.offload != self.offload:
            had = "with" if before.offload else "without"
            return f"its {self.engine} shards were written {had} offload"
        return None
