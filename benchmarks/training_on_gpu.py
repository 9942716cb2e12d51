"""Training steps of large shapes on one GPU: memory as predicted, share of its peak, the paper's.

    python -m benchmarks.training_on_gpu [--rows memory mistral medium] [--device cpu --tiny]

Weights and tokens are random and stay in memory; the trainer, its engine and its supervision are
those of a job. trl and datasets are all it needs beyond torch, transformers, accelerate and peft.
`--tiny` runs the same code on shapes of a few megabytes, to see that it runs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training import clocked, quiet
from benchmarks.workload import arguments, settled
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.models.family import family_of
from jobs.training.align_params import Params
from jobs.training.engine import ENGINES
from jobs.training.layout_check import check_before_training
from jobs.training.objective import OBJECTIVES, Lesson, ScoredPairs
from jobs.training.planning.correction import GB, corrected_by, memory_facts
from jobs.training.planning.footprint import Model, footprint
from jobs.training.planning.training_fit import training_with
from jobs.training.recipe import data_order
from jobs.training.supervision import Supervision, train
from jobs.training.tokenized_pairs import TokenizedPair
from jobs.worker.tracking import Tracker
from jobs.worker.work import AttemptFolder, Work

PEAK_FLOPS = 989e12
"""Of an H100 or H200 in 16 bits, without sparsity (their maker's data sheet)."""
_GPT2 = {"family": "gpt2", "vocab_size": 50257, "max_positions": 1024}
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {**_GPT2, "num_layers": 12, "d_model": 768, "num_heads": 12},
    "gpt2-medium": {**_GPT2, "num_layers": 24, "d_model": 1024, "num_heads": 16},
    "gpt2-xl": {**_GPT2, "num_layers": 48, "d_model": 1600, "num_heads": 25},
    "llama-3b": {
        "family": "llama", "num_layers": 28, "d_model": 3072, "num_heads": 24, "tie": True,
        "num_key_value_heads": 8, "d_mlp": 8192, "vocab_size": 128256, "max_positions": 4096,
    },
    "mistral-7b": {
        "family": "mistral", "num_layers": 32, "d_model": 4096, "num_heads": 32,
        "num_key_value_heads": 8, "d_mlp": 14336, "vocab_size": 32000, "max_positions": 4096,
    },
}  # fmt: skip
"""From 0.1 to 7 thousand million parameters."""
_TINY = {"num_layers": 2, "d_model": 64, "num_heads": 4, "d_mlp": 128, "vocab_size": 500}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one run of a few steps showed."""

    step_s: float
    """Median of the steps after the first two."""
    peak_gb: float
    """Most memory of the device, as its allocator tells; 0 on a processor."""
    losses: Sequence[float]
    """Of every step."""


def main() -> None:
    """Print the rows asked for."""
    parser = arguments(__doc__)
    parser.set_defaults(device="cuda")
    parser.add_argument("--rows", nargs="+", choices=sorted(ROWS), default=sorted(ROWS))
    parser.add_argument("--tiny", action="store_true")
    chosen = parser.parse_args()
    print(settled(chosen), flush=True)
    for row in chosen.rows:
        ROWS[row](chosen)


def memory(chosen: argparse.Namespace) -> None:
    """Predicted against measured peaks, corrected by the two smallest."""
    done: list[Mapping[str, Any]] = []
    for name, fields in _shapes(chosen).items():
        params = _params(chosen, dtype="bfloat16", activation_checkpointing=name == "mistral-7b")
        training = training_with(params, Model.of(fields), _length(chosen))
        found = footprint(training, params.layout())
        correction = corrected_by(
            memory_facts(done), on_gpu=True, dtype="bfloat16", attention="sdpa"
        )
        seen = run(chosen, fields, params, steps=3)
        off = correction.peak_gb(found) / seen.peak_gb - 1 if seen.peak_gb else float("nan")
        print(
            f"memory, {name}: closed form {found.peak / GB:.2f} GB, corrected by {len(done)} "
            f"smaller {correction.peak_gb(found):.2f}, measured {seen.peak_gb:.2f} ({off:+.1%})",
            flush=True,
        )
        if len(done) < 2:
            facts = {
                "layout": params.layout().execution, "dtype": "bfloat16", "attention": "sdpa",
                "states_gb": found.states / GB, "working_gb": found.working / GB,
                "step_gb": found.step / GB, "measured_gb": seen.peak_gb,
            }  # fmt: skip
            done.append({"memory": facts})


def mistral(chosen: argparse.Namespace) -> None:
    """Full fine-tuning and LoRA of a 7 B shape: share of the GPU's peak, optimizer included."""
    fields = _shapes(chosen)["mistral-7b"]
    num_parameters = Model.of(fields).num_parameters
    for what, lora in (("full", None), ("LoRA, rank 16", {"rank": 16, "alpha": 32})):
        for batch, micro in ((8, 1), (16, 2), (32, 4)):
            params = _params(
                chosen, dtype="bfloat16", activation_checkpointing=True, global_batch=batch,
                micro_batch=micro, lora=lora,
            )  # fmt: skip
            seen = run(chosen, fields, params, steps=4)
            tokens = batch * 2 * _length(chosen)
            mfu = 6 * num_parameters * tokens / seen.step_s / PEAK_FLOPS
            print(
                f"mistral-7b, {what}: batch {batch} pairs of 2 x {_length(chosen)} tokens in "
                f"{micro}s, {seen.step_s:.2f} s a step, MFU {mfu:.3f} (at least 0.40), "
                f"{seen.peak_gb:.1f} GB",
                flush=True,
            )


def medium(chosen: argparse.Namespace) -> None:
    """GPT-2 Medium: ours in bfloat16 against fp32 with TF32 and a resident fp16 reference."""
    fields = _shapes(chosen)["gpt2-medium"]
    params = _params(chosen, dtype="bfloat16", global_batch=4)
    ours = run(chosen, fields, params, steps=30, length=256)
    plain = papers_recipe(chosen, fields, steps=30, length=256)
    apart = max(abs(a - b) for a, b in zip(ours.losses, plain.losses, strict=True))
    print(
        f"gpt2-medium: {4 / ours.step_s:.1f} pairs/s, the paper's recipe {4 / plain.step_s:.1f}: "
        f"{plain.step_s / ours.step_s:.2f} times (at least 2); losses differ by {apart:.4f} at "
        f"most, from {ours.losses[0]:.4f} to {ours.losses[-1]:.4f}",
        flush=True,
    )


ROWS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "memory": memory,
    "mistral": mistral,
    "medium": medium,
}
"""Name -> what measures and prints it."""


def run(
    chosen: argparse.Namespace,
    fields: Mapping[str, Any],
    params: Params,
    *,
    steps: int,
    length: int | None = None,
) -> Seen:
    """Run a few steps of an `align` job on a model that is drawn where it trains."""
    import torch

    recipe, layout = params.recipe(steps), params.layout()
    engine = ENGINES.find(layout.engine)
    pairs = _pairs(fields, length or _length(chosen))
    with tempfile.TemporaryDirectory() as folder, quiet(), clocked() as clock:
        work = _work(Path(folder), params)
        with engine.session(layout, recipe):
            model = _drawn(fields, chosen.device)
            scored = _scored_by(model, pairs)
            if params.lora is not None:
                from jobs.training.adapters.lora import add_adapter

                add_adapter(model, params.lora, params.seed)
            arguments = recipe.trainer_arguments(work.folder / "checkpoints", layout_device(layout))
            trainer = OBJECTIVES.find("dpo").make_trainer(
                Lesson(
                    model=model,
                    tokenizer=_tokenizer(),
                    scored=scored,
                    order=data_order(len(pairs), steps * params.global_batch, 0),
                    arguments={**arguments, **engine.arguments(layout, recipe)},
                    settings=params.settings(),
                    seed=0,
                )
            )
            trainer.supervise(Supervision(work=work, recipe=recipe, beta=params.settings()["beta"]))
            check_before_training(trainer, engine, layout)
            _reset(chosen.device)
            train(trainer)
        losses = [row["loss"] for row in trainer.state.log_history]
        peak = torch.cuda.max_memory_allocated() / GB if chosen.device != "cpu" else 0.0
    return Seen(step_s=statistics.median(clock.timed().steps_s[1:]), peak_gb=peak, losses=losses)


def papers_recipe(
    chosen: argparse.Namespace, fields: Mapping[str, Any], *, steps: int, length: int
) -> Seen:
    """Train in a plain loop: TF32 policy, an fp16 reference at every step (Lee et al. 2024)."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = True
    policy = _drawn(fields, chosen.device)
    reference = _drawn(fields, chosen.device).half().eval()
    pairs = _pairs(fields, length)
    order = data_order(len(pairs), steps * 4, 0)
    optimizer = torch.optim.RMSprop(policy.parameters(), lr=1e-6)
    stamps, losses = [], []
    for step in range(steps):
        rows = [pairs[place] for place in order[4 * step : 4 * step + 4]]
        with torch.no_grad():
            before = _sums(reference, rows)
        gains = _sums(policy, rows) - before
        margin = gains[: len(rows)] - gains[len(rows) :]
        loss = -torch.nn.functional.logsigmoid(0.1 * margin).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 10.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        stamps.append(time.perf_counter())
    torch.backends.cuda.matmul.allow_tf32 = False
    return Seen(step_s=float(np.median(np.diff(stamps)[1:])), peak_gb=0.0, losses=losses)


def _sums(model: Any, rows: Sequence[TokenizedPair]) -> Any:
    """Log-probability of every chosen, then every rejected completion; all are of one length."""
    import torch

    sides = [[*row.prompt_ids, *row.chosen_ids] for row in rows]
    sides += [[*row.prompt_ids, *row.rejected_ids] for row in rows]
    ids = torch.tensor(sides, device=model.device)
    start = len(rows[0].prompt_ids)
    logits = model(input_ids=ids, use_cache=False).logits[:, start - 1 : -1].float()
    found = torch.log_softmax(logits, dim=-1).gather(2, ids[:, start:, None])
    return found.sum(dim=(1, 2))


def _params(chosen: argparse.Namespace, **given: Any) -> Params:
    number = 0 if chosen.device == "cpu" else 1
    settings = {"objective": "dpo", "learning_rate": 1e-6, "checkpoint_every": None, "steps": 1}
    return Params(**{**settings, "num_gpus": number, "global_batch": 4, "micro_batch": 2, **given})


def _shapes(chosen: argparse.Namespace) -> Mapping[str, Mapping[str, Any]]:
    if not chosen.tiny:
        return SHAPES
    tiny = {name: {**fields, **_TINY} for name, fields in SHAPES.items()}
    return {name: {**fields, "num_key_value_heads": 4} if fields["family"] != "gpt2" else fields
            for name, fields in tiny.items()}  # fmt: skip


def _length(chosen: argparse.Namespace) -> int:
    return 64 if chosen.tiny else 1024


def _pairs(fields: Mapping[str, Any], length: int) -> list[TokenizedPair]:
    """Random tokens: half of a sequence is the prompt."""
    drawn = np.random.default_rng(5)

    def ids() -> list[int]:
        found: list[int] = drawn.integers(0, fields["vocab_size"], length // 2).tolist()
        return found

    return [
        TokenizedPair(
            pair=number, split="train", prompt_ids=ids(), chosen_ids=ids(), rejected_ids=ids(),
            truncated=False,
        )
        for number in range(32)
    ]  # fmt: skip


def _drawn(fields: Mapping[str, Any], device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    config = family_of(fields["family"]).hf_config(fields)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()


def _scored_by(model: Any, pairs: Sequence[TokenizedPair]) -> ScoredPairs:
    """Return what the model gives its own pairs before it is trained."""
    from jobs.training.completion_log_probabilities import score_pairs

    return score_pairs(model, pairs, batch_size=4, dtype="float32")


def _tokenizer() -> Any:
    """One with a pad token: all that is used of it."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"<pad>": 0}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>")


def _work(folder: Path, params: Params) -> Work:
    attempt = AttemptFolder(Artifact(Storage(folder), "align", "0" * 64), "1")
    return Work(
        params=params,
        inputs={},
        attempt=attempt,
        surroundings=Surroundings(),
        tracker=Tracker(None),
        threads=1,
    )


def layout_device(layout: Any) -> str:
    """Where a layout computes."""
    return "cuda" if layout.num_gpus else "cpu"


def _reset(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
