"""Paired extraction against the two bare forward passes it cannot do without, on this machine.

    python -m benchmarks.extraction [--threads N] [--rounds N]

Bare: both backbones on the same padded batches, stopped after the last layer that is needed, and
nothing kept. Paired: the same through hooks, δ in fp32, norms and moments, units written to disk.
Both take turns unit by unit, so that whatever else the machine does falls on both; ratios are
medians over units, of wall-clock time and of processor time, which other work disturbs less.
"""

import argparse
import copy
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from analysis.depth import layer_at
from jobs.extraction.activation_units import write_unit
from jobs.extraction.pair import Inputs, offsets
from jobs.extraction.taps import Place, StopForward, blocks_of
from jobs.extraction.unit_rows import UnitRows
from jobs.family import family_of
from jobs.tokens.batches import Unit, cut, padded, units
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position, positions

VOCABULARY = 8000
SHAPE = {
    "family": "gpt2",
    "num_layers": 12,
    "d_model": 512,
    "num_heads": 8,
    "vocab_size": VOCABULARY,
}
NUM_PROMPTS, SHORTEST, LONGEST, NUM_GROUPS = 32, 32, 96, 4
TOKEN_BUDGET = 2048
EIGHTHS = tuple(eighth / 8 for eighth in range(1, 9))
QUARTERS = (0.25, 0.5, 0.75, 1.0)
CASES: tuple[tuple[str, tuple[str, ...], tuple[float, ...], tuple[Any, ...]], ...] = (
    ("2 sites x 4 depths, last", ("resid_mid", "resid_post"), QUARTERS, ("last",)),
    ("3 sites x 8 depths, last", ("resid_mid", "resid_post", "mlp_out"), EIGHTHS, ("last",)),
    ("2 sites x 4 depths, all + last", ("resid_mid", "resid_post"), QUARTERS, ("all", "last")),
    (
        "3 sites x 8 depths, all + last",
        ("resid_mid", "resid_post", "mlp_out"),
        EIGHTHS,
        ("all", "last"),
    ),
)
"""What is read: sites, depths, positions. Moments and kept rows at `last`, norms at both."""


def main() -> None:
    """Print one line per case."""
    import torch

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked.add_argument("--rounds", type=int, default=4)
    chosen = asked.parse_args()
    _set_threads(chosen.threads)
    plan, (base, aligned) = _plan(), _models()
    names = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy"))
    print(f"{_processor()}, {chosen.threads} threads, Python {platform.python_version()}, {names}")
    print(f"GPT-2 of 12 layers, d = 512, float32; {len(plan.token_ids):,} tokens a round")
    for name, sites, depths, policies in CASES:
        layers = sorted({layer_at(depth, 12) for depth in depths})
        places = [(site, layer) for site in sites for layer in layers]
        wanted = positions(plan, policies, 0 if "all" in policies else 2048)
        bare_pass = partial(_bare, plan, (base, aligned), max(layers))
        paired_pass = partial(_paired, plan, (base, aligned), places, wanted)
        times = np.array(
            [
                (*_timed(bare_pass, unit), *_timed(paired_pass, unit), unit.num_tokens)
                for _ in range(1 + chosen.rounds)
                for unit in units(plan, 1 << 30)
            ]
        )[NUM_GROUPS:]  # the first round warms up
        bare, bare_cpu, paired, paired_cpu, tokens = times.T
        print(
            f"{name:32} bare {tokens.sum() / bare.sum():6,.0f} tokens/s   "
            f"paired {tokens.sum() / paired.sum():6,.0f} tokens/s   "
            f"ratio {np.median(bare / paired):.3f} "
            f"(processor {np.median(bare_cpu / paired_cpu):.3f})",
            flush=True,
        )


def _timed(work: Callable[[Unit], None], unit: Unit) -> tuple[float, float]:
    """Wall-clock and processor seconds of one unit."""
    wall, cpu = time.perf_counter(), time.process_time()
    work(unit)
    return time.perf_counter() - wall, time.process_time() - cpu


def _set_threads(threads: int) -> None:
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)


def _models() -> tuple[Any, Any]:
    """A random base and a copy that has moved a little."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_config(family_of("gpt2").hf_config(SHAPE)).eval()
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        for weight in aligned.parameters():
            weight.add_(1e-3 * torch.randn_like(weight))
    return base, aligned


def _plan() -> TokenPlan:
    draw = np.random.default_rng(0)
    lengths = draw.integers(SHORTEST, LONGEST + 1, NUM_PROMPTS)
    offsets_ = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(offsets_[-1]) - np.repeat(offsets_[:-1], lengths)
    answers = within >= np.repeat(lengths * 2 // 3, lengths)
    return TokenPlan(
        prompts=np.arange(NUM_PROMPTS),
        groups=np.arange(NUM_PROMPTS) % NUM_GROUPS,
        offsets=offsets_,
        token_ids=draw.integers(0, VOCABULARY, offsets_[-1]).astype(np.int32),
        roles=np.where(answers, 2, 1).astype(np.int8),
        segments=answers.astype(np.int16),
        final_segments=np.ones(NUM_PROMPTS, dtype=np.int16),
    )


def _bare(plan: TokenPlan, models: Sequence[Any], last_layer: int, unit: Unit) -> None:
    import torch

    def stop(*_: Any) -> None:
        raise StopForward

    for members in cut(plan, unit.members, TOKEN_BUDGET):
        inputs = Inputs(padded(plan, members, []), "cpu")
        for model in models:
            handle = blocks_of(model)[last_layer].register_forward_hook(stop)
            with suppress(StopForward), torch.inference_mode():
                model.base_model(
                    input_ids=inputs.token_ids,
                    attention_mask=inputs.attention_mask,
                    position_ids=inputs.position_ids,
                    use_cache=False,
                )
            handle.remove()


def _paired(
    plan: TokenPlan,
    models: Sequence[Any],
    places: Sequence[Place],
    wanted: Sequence[Position],
    unit: Unit,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = UnitRows(plan, wanted, {"last"})
        for members in cut(plan, unit.members, TOKEN_BUDGET):
            batch = padded(plan, members, wanted)
            inputs = Inputs(batch, "cpu")
            rows.add(batch, offsets(models[0], models[1], inputs, places))
        write_unit(Path(folder), unit, plan.hash, rows.finish(), {}, "float32")


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
