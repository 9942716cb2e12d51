"""Random models, random tokens and clocks that the extraction benchmarks share.

Nothing is downloaded, and nothing but torch, transformers, safetensors, numpy, jaxtyping, xxhash
and threadpoolctl is imported, so that a bare GPU machine runs them as well.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from cluster.machine.resources import processor_name
from jobs.models.family import family_of
from jobs.tokens.plan import TokenPlan

NUM_GROUPS = 4
"""Prompt groups of every plan; each is one unit."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A model's shape, and the prompts it is run on."""

    fields: Mapping[str, Any]
    """Our fields of its config."""
    dtype: str
    """In which it is held and computes."""
    num_prompts: int
    """Prompts in all, spread over the groups in turn."""
    lengths: tuple[int, int]
    """Tokens of the shortest and longest prompt; uniform between."""
    token_budget: int
    """Tokens of a batch, padding included."""

    @property
    def num_layers(self) -> int:
        """Blocks."""
        return int(self.fields["num_layers"])

    def __str__(self) -> str:
        fields = self.fields
        return (
            f"{fields['family']}, {fields['num_layers']} layers, d = {fields['d_model']}, "
            f"{self.dtype}; {self.num_prompts} prompts of {self.lengths[0]} to {self.lengths[1]} "
            f"tokens, batches of {self.token_budget:,}"
        )


_GPT2 = {
    "family": "gpt2",
    "num_layers": 12,
    "d_model": 512,
    "num_heads": 8,
    "vocab_size": 8000,
}
_MISTRAL = {
    "family": "mistral",
    "num_layers": 32,
    "d_model": 4096,
    "num_heads": 32,
    "num_key_value_heads": 8,
    "d_mlp": 14336,
    "vocab_size": 32000,
    "max_positions": 4096,
}
WORKLOADS = {
    "gpt2": Workload(
        fields=_GPT2, dtype="float32", num_prompts=512, lengths=(32, 96), token_budget=2048
    ),
    "mistral-7b": Workload(
        fields=_MISTRAL, dtype="bfloat16", num_prompts=1024, lengths=(64, 512), token_budget=16384
    ),
    "gpt2-medium": Workload(
        fields={**_GPT2, "num_layers": 24, "d_model": 1024, "num_heads": 16, "vocab_size": 50257},
        dtype="float32",
        num_prompts=1024,
        lengths=(64, 512),
        token_budget=16384,
    ),
    # The large one's family and dtype, in a size that shows within seconds whether it runs.
    "mistral-tiny": Workload(
        fields={**_MISTRAL, "num_layers": 8, "d_model": 256, "num_heads": 8, "d_mlp": 896},
        dtype="bfloat16",
        num_prompts=32,
        lengths=(16, 48),
        token_budget=1024,
    ),
}
"""Name -> workload."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return the arguments that these benchmarks share; torch's threads are set by `settled`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=min(2, len(os.sched_getaffinity(0))))
    return parser


def settled(chosen: argparse.Namespace) -> str:
    """Set the threads; the line that says where and with what the numbers were measured."""
    import threadpoolctl
    import torch

    torch.set_num_threads(chosen.threads)
    threadpoolctl.threadpool_limits(chosen.threads)
    names = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy"))
    on_cpu = torch.device(chosen.device).type == "cpu"
    device = processor_name() if on_cpu else torch.cuda.get_device_name(chosen.device)
    return (
        f"{device}, {chosen.threads} threads, load before this run {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {names}"
    )


def random_model(workload: Workload, device: str) -> Any:
    """Return a model of this shape, its weights drawn on the device."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config = family_of(workload.fields["family"]).hf_config(workload.fields)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, workload.dtype))
    return model.eval()


def random_pair(workload: Workload, device: str) -> tuple[Any, Any]:
    """Return a random base and a copy that has moved a little."""
    import torch

    base, aligned = (random_model(workload, device) for _ in range(2))
    with torch.no_grad():
        for weight in aligned.parameters():
            weight.add_(1e-3 * torch.randn_like(weight))
    return base, aligned


def random_plan(workload: Workload) -> TokenPlan:
    """Random prompts; the last third of each is its answer."""
    draw = np.random.default_rng(0)
    shortest, longest = workload.lengths
    lengths = draw.integers(shortest, longest + 1, workload.num_prompts)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    answers = within >= np.repeat(lengths * 2 // 3, lengths)
    vocabulary = workload.fields["vocab_size"]
    return TokenPlan(
        prompts=np.arange(workload.num_prompts),
        groups=np.arange(workload.num_prompts) % NUM_GROUPS,
        offsets=offsets,
        token_ids=draw.integers(0, vocabulary, offsets[-1]).astype(np.int32),
        roles=np.where(answers, 2, 1).astype(np.int8),
        segments=answers.astype(np.int16),
        final_segments=np.ones(workload.num_prompts, dtype=np.int16),
    )


def timed(work: Callable[[], object], device: str = "cpu") -> tuple[float, float]:
    """Wall-clock and processor seconds, until the device has done all that was asked of it."""
    _finish(device)
    wall, processor = time.perf_counter(), time.process_time()
    work()
    _finish(device)
    return time.perf_counter() - wall, time.process_time() - processor


def _finish(device: str) -> None:
    if device != "cpu":
        import torch

        torch.cuda.synchronize(device)
