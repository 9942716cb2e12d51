"""A few steps of training on a model that is drawn where it trains: ours, the paper's, TRL's own.

Weights and tokens are random and stay in memory; our trainer, its engine, its supervision and its
watch of memory are those of a job.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.bare_trl import trainer_of
from benchmarks.gpu.machine import Machine
from benchmarks.preference_workload import PreferenceWorkload, word_tokenizer
from benchmarks.training import clocked, quiet
from cluster.errors import OutOfMemory
from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.models.family import family_of
from jobs.training.align_params import Params
from jobs.training.planning.correction import MemoryFacts
from jobs.training.recipe import data_order
from jobs.training.tokenized_pairs import TokenizedPair
from jobs.worker.attempt_folder import AttemptFolder
from jobs.worker.tracking import Tracker
from jobs.worker.whose_fault import is_out_of_memory
from jobs.worker.work import Work

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one run of a few steps showed."""

    step_s: float
    """Median time of a step; the first is left out where there are others."""
    peak_gb: float
    """Most memory of the device, as its allocator tells; 0 on a processor."""
    losses: Sequence[float]
    """Of every step."""
    memory: MemoryFacts | None = None
    """What a job of ours would write of its memory."""


def or_does_not_fit(machine: Machine, work: Callable[[], Result]) -> tuple[Result | None, str]:
    """Do some work; return (its result, ""), or (None, why) where memory runs out."""
    machine.free_memory()
    why = ""
    try:
        result = work()
    except Exception as fault:
        if not isinstance(fault, OutOfMemory) and not is_out_of_memory(fault):
            raise
        why = f"does not fit: {str(fault).strip().partition(chr(10))[0]}"
    # Only here, where the fault no longer holds the tensors of the failed run.
    machine.free_memory()
    return (None, why) if why else (result, "")


def params_for(machine: Machine, **given: Any) -> Params:
    """Return params of a DPO run on this machine."""
    settings = {
        "objective": "dpo", "learning_rate": 1e-6, "checkpoint_every": None, "steps": 1,
        "num_gpus": 1 if machine.on_gpu else 0, "global_batch": 4, "micro_batch": 4,
    }  # fmt: skip
    return Params(**{**settings, **given})


def run_ours(
    machine: Machine, fields: Mapping[str, Any], params: Params, *, steps: int, length: int
) -> Seen:
    """Run a few steps of an `align` job.

    Args:
        machine: where.
        fields: the model's shape.
        params: of the job; its number of steps is not asked.
        steps: optimizer steps.
        length: tokens of a sequence, of which half are the prompt.
    """
    from jobs.training.engine import ENGINES
    from jobs.training.layout_check import check_before_training
    from jobs.training.memory_watch import MemoryWatch
    from jobs.training.objective import OBJECTIVES, Lesson
    from jobs.training.supervision import Supervision, train

    machine.free_memory()  # the model before this one may wait for the collector
    recipe, layout = params.recipe(steps), params.layout()
    engine = ENGINES.find(layout.engine)
    pairs = random_pairs(machine, fields, length)
    order = data_order(len(pairs), steps * params.global_batch, 0)
    with tempfile.TemporaryDirectory() as folder, quiet(), clocked() as clock:
        work = _work(Path(folder), params)
        with engine.session(layout, recipe):
            model = drawn(fields, machine.device, params.attention)
            scored = _scored(model, pairs, params.dtype)
            if params.lora is not None:
                from jobs.training.adapters.lora import add_adapter

                add_adapter(model, params.lora, params.seed)
            arguments = recipe.trainer_arguments(work.folder / "checkpoints", machine.device)
            trainer = OBJECTIVES.find("dpo").make_trainer(
                Lesson(
                    model=model,
                    tokenizer=word_tokenizer(8),
                    scored=scored,
                    order=order,
                    arguments={**arguments, **engine.arguments(layout, recipe)},
                    settings=params.settings(),
                    seed=0,
                )
            )
            trainer.supervise(Supervision(work=work, recipe=recipe, beta=params.settings()["beta"]))
            engine.prepare(trainer, layout)
            check_before_training(trainer, engine, layout)
            watch = MemoryWatch(trainer, params, pairs, order)
            machine.free_memory()
            train(trainer)
            memory = watch.facts()
        losses = [row["loss"] for row in trainer.state.log_history]
    peak = (memory["measured_gb"] or 0.0) if machine.on_gpu else 0.0
    return Seen(step_s=_median(clock.timed().steps_s), peak_gb=peak, losses=losses, memory=memory)


def run_papers_recipe(
    machine: Machine, fields: Mapping[str, Any], *, steps: int, length: int
) -> Seen:
    """Train in a plain loop: TF32 policy, an fp16 reference at every step (Lee et al. 2024)."""
    import torch

    machine.free_memory()
    torch.set_float32_matmul_precision("high")
    try:
        policy = drawn(fields, machine.device)
        reference = drawn(fields, machine.device).half().eval()
        pairs = random_pairs(machine, fields, length)
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
    finally:
        torch.set_float32_matmul_precision("highest")
    return Seen(step_s=_median(np.diff(stamps).tolist()), peak_gb=machine.peak_gb(), losses=losses)


def run_bare_trl(
    machine: Machine, fields: Mapping[str, Any], *, steps: int, length: int, **settings: Any
) -> Seen:
    """Train with TRL's `DPOTrainer` as a person writes it, the reference scored beforehand."""
    machine.free_memory()
    half = length // 2
    workload = PreferenceWorkload(
        fields=fields,
        num_pairs=_num_pairs(machine),
        prompt_tokens=half,
        completion_tokens=length - half,
    )
    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer = trainer_of(
            drawn(fields, machine.device),
            word_tokenizer(int(fields["vocab_size"])),
            workload.texts(shorter_by=1),  # TRL appends an EOS to every completion
            Path(folder),
            steps=steps,
            batch=4,
            resident_reference=False,
            use_cpu=not machine.on_gpu,
            logging_steps=1,
            **settings,
        )
        with clocked() as clock:
            trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return Seen(step_s=_median(clock.timed().steps_s), peak_gb=machine.peak_gb(), losses=losses)


def drawn(fields: Mapping[str, Any], device: str, attention: str = "sdpa") -> Any:
    """Return a model of this shape with fp32 weights, drawn on the device from one seed."""
    import torch
    from transformers import AutoModelForCausalLM

    from jobs.models.family import attention_kernel

    torch.manual_seed(3)
    config = family_of(fields["family"]).hf_config(fields)
    kernel = attention_kernel(fields, attention)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, attn_implementation=kernel).eval()


def random_pairs(machine: Machine, fields: Mapping[str, Any], length: int) -> list[TokenizedPair]:
    """Return pairs of random tokens, all of one length: half of a sequence is the prompt."""
    draw = np.random.default_rng(5)

    def ids() -> list[int]:
        tokens: list[int] = draw.integers(0, fields["vocab_size"], length // 2).tolist()
        return tokens

    return [
        TokenizedPair(
            pair=number, split="train", prompt_ids=ids(), chosen_ids=ids(), rejected_ids=ids(),
            truncated=False,
        )
        for number in range(_num_pairs(machine))
    ]  # fmt: skip


def _num_pairs(machine: Machine) -> int:
    return 8 if machine.rehearses else 32


def _scored(model: Any, pairs: Sequence[TokenizedPair], dtype: str) -> Any:
    """Return what the model gives its own pairs before it is trained, computed as it trains."""
    from jobs.training.completion_log_probabilities import score_pairs

    return score_pairs(model, pairs, batch_size=4, dtype=dtype)


def _sums(model: Any, rows: Sequence[TokenizedPair]) -> Any:
    """Log-probability of every chosen, then every rejected completion; all are of one length."""
    import torch

    sides = [[*row.prompt_ids, *row.chosen_ids] for row in rows]
    sides += [[*row.prompt_ids, *row.rejected_ids] for row in rows]
    ids = torch.tensor(sides, device=model.device)
    start = len(rows[0].prompt_ids)
    logits = model(input_ids=ids, use_cache=False).logits[:, start - 1 : -1].float()
    chosen = torch.log_softmax(logits, dim=-1).gather(2, ids[:, start:, None])
    return chosen.sum(dim=(1, 2))


def _median(steps_s: Sequence[float]) -> float:
    return float(statistics.median(steps_s[1:] or steps_s))


def _work(folder: Path, params: Params) -> Work[Params]:
    attempt = AttemptFolder(Artifact(Storage(folder), "align", "0" * 64), "1")
    return Work(
        params=params,
        inputs={},
        attempt=attempt,
        surroundings=Surroundings(),
        tracker=Tracker(None),
        threads=1,
    )
