"""What profiles of all kinds have in common: a root, shapes of nodes, prices.

A kind declares its own fields by a model that inherits from `Profile` (`kinds/NAME.py`).
"""

import math
import re
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cluster.errors import UserError
from cluster.machine.accelerators import gpu_memory_gb, nearest_product, product_names
from cluster.machine.resources import Resources
from orchestrator.budget.budget import check_currency
from orchestrator.notices.chosen_ways import NOBODY, read_way
from orchestrator.quantities import MemoryGb

_ROOT_URL = re.compile(r"[a-z0-9]+://[^/\s]+(/\S*)?", re.ASCII)


class Part(BaseModel):
    """Parent of the models: frozen, strict, and a wrong name is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def _check_gpu(written: str) -> str:
    if not gpu_memory_gb(written):
        near = nearest_product(written)
        raise ValueError(
            f"{written[:60]!r} is no GPU that is known"
            + (f"; did you mean {near!r}?" if near else "")
            + f" Known are {', '.join(product_names())};"
            + " of any other write its memory behind the name, as in MyGPU-80GB"
        )
    return written


def _check_root(written: str) -> str:
    if "://" in written:
        if not _ROOT_URL.fullmatch(written):
            raise ValueError("write a URL such as s3://bucket/folder")
    elif "$" in written:
        raise ValueError("variables are not replaced here: write the whole path")
    elif not written.startswith(("/", "~/")):
        raise ValueError(
            "write the whole path (/…), ~/… or a URL (s3://bucket/folder): commands may be started "
            "in any folder"
        )
    return written


def _check_way(written: str) -> str:
    if written.strip() != NOBODY:
        try:
            read_way(written)
        except UserError as fault:
            allowed = f" ({', '.join(fault.allowed)})" if fault.allowed else ""
            raise ValueError(f"{fault.error}{allowed}") from None
    return written


class Nodes(Part):
    """Nodes of one shape."""

    count: int = Field(default=1, ge=1, le=10_000)
    """Number of nodes of this shape."""
    cpus: int = Field(ge=1, le=4096)
    """Processor cores of one node that jobs may use."""
    memory: MemoryGb | None = None
    """Host memory of one node that jobs may use; null: not known, taken to be enough."""
    gpus: int = Field(default=0, ge=0, le=1024)
    """GPUs of one node."""
    gpu: Annotated[str, AfterValidator(_check_gpu)] | None = None
    """Product of the GPUs, such as `A100-80GB`."""
    price: float | None = Field(default=None, ge=0, le=1e6)
    """Price of one whole node for one hour, in the profile's currency; null: not known."""

    @model_validator(mode="after")
    def _require_gpu_and_number(self) -> Self:
        if self.gpus and self.gpu is None:
            raise ValueError(f"{self.gpus} GPUs of which type? Add gpu: NAME, such as A100-80GB")
        if self.gpu is not None and not self.gpus:
            raise ValueError(f"how many {self.gpu} has a node? Add gpus: NUMBER")
        return self

    @property
    def node(self) -> Resources:
        """What one node offers."""
        return Resources(
            num_cpus=self.cpus,
            num_gpus=self.gpus,
            memory_gb=math.inf if self.memory is None else self.memory,
            gpu_memory_gb=gpu_memory_gb(self.gpu) if self.gpu else 0.0,
            gpu_name=self.gpu or "",
        )


class Profile(Part):
    """Fields of every profile."""

    kind: str
    """Kind of the profile: an entry of `orchestrator/profiles/kinds/`."""
    root: Annotated[str, AfterValidator(_check_root)] | None = None
    """Output root: a whole path, `~/…` or a URL; `--root` wins over it."""
    nodes: Sequence[Nodes] = ()
    """Shapes of the nodes that a launch may get; `plan --on` plans with them."""
    currency: Annotated[str, AfterValidator(check_currency)] | None = None
    """Currency or unit of all prices, such as `EUR`."""

    notify: Sequence[Annotated[str, AfterValidator(_check_way)]] = ()
    """How people are told of a launch: `webhook:env:NAME`, `webhook:~/FILE`, `command:~/PROGRAM`,
    `wandb`; `none`: not at all, whatever the user's configuration says."""

    @model_validator(mode="after")
    def _require_currency(self) -> Self:
        if self.currency is None and any(shape.price is not None for shape in self.nodes):
            raise ValueError("a price needs its currency: add currency: EUR (or USD, credits, …)")
        return self

    @property
    def machines(self) -> list[Resources]:
        """Every node, one entry each; none where the profile says nothing of its nodes."""
        return [node for shape in self.nodes for node in [shape.node] * shape.count]
