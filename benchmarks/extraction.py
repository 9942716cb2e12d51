"""Paired extraction against the two bare forward passes it cannot do without, on this machine.

    python -m benchmarks.extraction [--device cuda] [--workload mistral-7b] [--rounds N] [--case 3]

Bare: both backbones on the same padded batches, stopped after the last layer that is needed, and
nothing kept. Paired: the same through hooks, δ in fp32, norms and moments, units written to disk.
Both take turns unit by unit, so that whatever else the machine does falls on both; ratios are
medians over units, of wall-clock time and, on a CPU, of processor time, which other work disturbs
less. The default workload is `gpt2` on a CPU and `mistral-7b` on a GPU.
"""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from analysis.long_table.depth import layer_at
from benchmarks.workload import (
    WORKLOADS,
    Workload,
    arguments,
    random_pair,
    random_plan,
    settled,
    timed,
)
from jobs.extraction.forward_passes import activation_reader
from jobs.extraction.unit_extractor import UnitExtractor
from jobs.extraction.unit_rows import StoredParts
from jobs.extraction.writer_thread import WriterThread
from jobs.taps.activations import Inputs
from jobs.taps.taps import Place, StopForward, blocks_of
from jobs.tokens.batches import Unit, cut_batches, cut_units, pad_batch
from jobs.tokens.plan import TokenPlan
from jobs.tokens.position_policy import Policy
from jobs.tokens.positions import Position, find_positions

_EIGHTHS = tuple(eighth / 8 for eighth in range(1, 9))
_MOST_ROWS_KEPT = 2048


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is read of every unit."""

    name: str
    """As the table calls it."""
    sites: tuple[str, ...] = ("resid_mid", "resid_post", "mlp_out")
    """Sites."""
    depths: tuple[float, ...] = _EIGHTHS
    """Relative depths."""
    policies: tuple[Policy, ...] = ("last",)
    """Positions, norms at each."""
    moments: tuple[str, ...] = ("last",)
    """Those that have d x d moments too."""


CASES = (
    Case(name="3 sites x 8 depths, last"),
    Case(name="... moments at all positions", policies=("all", "last"), moments=("all", "last")),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What both sides of a case run on."""

    workload: Workload
    """Shape and batches."""
    models: tuple[Any, Any]
    """Base and aligned."""
    plan: TokenPlan
    """Tokens."""
    device: str
    """Where the models are."""


def main() -> None:
    """Print one line per case."""
    parser = arguments(__doc__)
    parser.add_argument("--workload", choices=WORKLOADS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--case", type=int, action="append", help="only this one, from 0")
    chosen = parser.parse_args()
    name = chosen.workload or ("gpt2" if chosen.device == "cpu" else "mistral-7b")
    workload = WORKLOADS[name]
    print(settled(chosen))
    models = random_pair(workload, chosen.device)
    setting = Setting(
        workload=workload, models=models, plan=random_plan(workload), device=chosen.device
    )
    print(f"{workload}; {len(setting.plan.token_ids):,} tokens a round", flush=True)
    for number in chosen.case or range(len(CASES)):
        case = CASES[number]
        print(measure(setting, case, chosen.rounds).line(case.name, chosen.device), flush=True)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Both sides of one case, over all units but the first."""

    bare: float
    """Tokens per second of the two bare forward passes."""
    paired: float
    """Tokens per second of the paired extraction."""
    ratio: float
    """Median over units: time of the bare passes over that of the extraction."""
    processor_ratio: float
    """Median over units: processor time of the bare passes over that of the extraction."""

    def line(self, name: str, device: str) -> str:
        """Return the line of the table."""
        line = (
            f"{name:32} bare {self.bare:8,.0f} tokens/s   paired {self.paired:8,.0f} tokens/s   "
            f"ratio {self.ratio:.3f}"
        )
        return line if device != "cpu" else f"{line} (processor {self.processor_ratio:.3f})"


def measure(setting: Setting, case: Case, rounds: int) -> Measured:
    """Let both sides of a case take turns, unit by unit."""
    num_layers = setting.workload.num_layers
    layers = sorted({layer_at(depth, num_layers) for depth in case.depths})
    places = [(site, layer) for site in case.sites for layer in layers]
    num_kept = 0 if "all" in case.policies else _MOST_ROWS_KEPT
    wanted = find_positions(setting.plan, case.policies, num_kept)
    planned = cut_units(setting.plan, 1 << 30)
    sides = (
        partial(_bare, setting, layers[-1]),
        partial(_paired, setting, places, wanted, case),
    )
    rows = []
    for turn, unit in enumerate([planned[0], *(planned * rounds)]):
        # Whoever comes second finds warm caches: they take turns at it.
        first = turn % 2
        taken = {
            side: timed(partial(sides[side], unit), setting.device) for side in (first, 1 - first)
        }
        rows.append((*taken[0], *taken[1], unit.num_tokens))
    times = np.array(rows[1:])  # the first one warms up
    bare, bare_processor, paired, paired_processor, tokens = times.T
    return Measured(
        bare=float(tokens.sum() / bare.sum()),
        paired=float(tokens.sum() / paired.sum()),
        ratio=float(np.median(bare / paired)),
        processor_ratio=float(np.median(bare_processor / paired_processor)),
    )


def _bare(setting: Setting, last_layer: int, unit: Unit) -> None:
    import torch

    def stop(*_: Any) -> None:
        raise StopForward

    for members in cut_batches(setting.plan, unit.members, setting.workload.token_budget):
        inputs = Inputs(pad_batch(setting.plan, members, []), setting.device)
        for model in setting.models:
            handle = blocks_of(model)[last_layer].register_forward_hook(stop)
            with suppress(StopForward), torch.inference_mode():
                model.base_model(
                    input_ids=inputs.token_ids,
                    position_ids=inputs.position_ids,
                    use_cache=False,
                )
            handle.remove()


def _paired(
    setting: Setting,
    places: Sequence[Place],
    wanted: Sequence[Position],
    case: Case,
    unit: Unit,
) -> None:
    """One unit whole, its files included; nothing of its writing hides behind another unit."""
    import torch

    base, aligned = (activation_reader(model, places) for model in setting.models)
    moments = frozenset(case.moments)
    few = frozenset({"last"}) & moments
    stored = StoredParts(dense=moments - few, rowwise=few, full=frozenset(), rows="float32")
    with (
        tempfile.TemporaryDirectory() as folder,
        WriterThread(torch.device(setting.device)) as thread,
    ):
        engine = UnitExtractor(
            plan=setting.plan,
            positions=wanted,
            places=places,
            stored=stored,
            folder=Path(folder),
            thread=thread,
            device=setting.device,
        )
        engine.run(unit, setting.workload.token_budget, base, aligned)


if __name__ == "__main__":
    main()
