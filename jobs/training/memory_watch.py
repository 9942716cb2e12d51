"""`MemoryWatch`: measures a training run's memory, first on two forward and backward passes.

The passes are the first thing a run does, at its longest sequences, so that what does not fit fails
at once. They leave no trace: gradients are dropped, random states and running metrics put back.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
from jaxtyping import Int64
from torch.nn import Module
from torch.optim import Optimizer
from transformers import TrainerCallback

from cluster.errors import OutOfMemory
from jobs.models.sizes import ModelSizes
from jobs.training.align_params import Params
from jobs.training.peak_memory import device_bytes, peak_bytes, reset_peak
from jobs.training.planning.correction import GB, MemoryFacts, corrected_by
from jobs.training.planning.footprint import flops_per_row, footprint
from jobs.training.planning.training_fit import training_with
from jobs.training.resume.random_state import read_generators, restore_generators
from jobs.training.supervision import Supervised
from jobs.training.tokenized_pairs import TokenizedPair
from jobs.worker import ranks
from jobs.worker.gpu_room import room_bytes

_COUNTED = ("_metrics", "_total_train_tokens")
"""What TRL's trainers count in a forward pass."""


class MemoryWatch:
    """The memory of one run on this rank."""

    PROBED_ENGINE = "ddp"
    """The engine whose gradients can be dropped; others keep them in buffers of their own."""

    def __init__(
        self,
        trainer: Supervised,
        params: Params,
        pairs: Sequence[TokenizedPair],
        order: Int64[np.ndarray, " needed"],
    ) -> None:
        """Watch a supervised trainer that has not begun.

        Args:
            trainer: over the pairs, in this order; gets a callback.
            params: of the job.
            pairs: the training pairs.
            order: index into the pairs of every row of the run.
        """
        self._trainer, layout = trainer, params.layout()
        self._layout = layout
        self._rows, length = _longest_rows(pairs, order, layout.micro_batch)
        model = ModelSizes.of(trainer.model.config.to_dict())
        self._training = training_with(params, model, length)
        self._expected = footprint(self._training, layout)
        self._on_gpu = layout.num_gpus > 0
        self._probed: int | None = None
        self._restored = False
        self._started, self._first_step = 0.0, 0
        self._seconds, self._measured, self._num_steps = 0.0, 0, 0
        trainer.add_callback(_callback(self))

    def begin(self, optimizer: Optimizer) -> None:
        """Try the passes before the first step, then measure the run."""
        if self._layout.engine == self.PROBED_ENGINE:
            model = self._trainer.model_wrapped
            reset_peak(on_gpu=self._on_gpu)
            with _without_a_trace(self._trainer, model):
                self._run_passes(model)
            self._probed = peak_bytes(on_gpu=self._on_gpu)
            self._require_room(optimizer)
        reset_peak(on_gpu=self._on_gpu)
        self._started, self._first_step = time.monotonic(), self._trainer.state.global_step

    def end(self) -> None:
        """Read the peak after the last step."""
        self._seconds = time.monotonic() - self._started
        self._num_steps = self._trainer.state.global_step - self._first_step
        self._measured = peak_bytes(on_gpu=self._on_gpu)

    def _run_passes(self, model: Module) -> None:
        trainer, alone = self._trainer, self._layout.num_ranks == 1
        accumulates = self._layout.accumulation(self._training.global_batch) > 1
        model.train()
        # DDP sends its first gradients in other portions than all later ones, and sums of more than
        # two ranks depend on that: a resumed run would differ in its first step.
        for sending in (getattr(model, "no_sync", nullcontext)(), nullcontext()):
            batch = trainer.data_collator([trainer.train_dataset[row] for row in self._rows])
            with sending, trainer.compute_loss_context_manager():
                loss = trainer.compute_loss(model, trainer._prepare_inputs(batch))
                trainer.accelerator.backward(loss)
            if alone and not accumulates:  # its steps never see gradients of an earlier pass
                _drop_gradients(model)

    def _corrected(self, *, with_moments: bool) -> float | None:
        """Return bytes at the peak, as the passes say: the optimizer's moments come on top."""
        if self._probed is None:
            return None
        moments = 0.0 if with_moments else self._expected.moments
        return max(self._probed + moments, self._expected.step)

    def _require_room(self, optimizer: Optimizer) -> None:
        self._restored = bool(getattr(optimizer, "optimizer", optimizer).state)
        expected = self._corrected(with_moments=self._restored)
        if self._on_gpu and expected is not None and expected > (room := room_bytes()):
            fault = OutOfMemory(
                f"a step would take {expected / GB:.1f} GB, as two forward and backward passes "
                f"show; of the GPU's {device_bytes() / GB:.1f} GB it can have {room / GB:.1f}"
            )
            fault.needed_bytes = expected
            raise fault

    def facts(self) -> MemoryFacts:
        """Return what was expected and measured, the most of all ranks; all of them must call."""
        training, expected = self._training, self._expected
        rows = self._num_steps * training.global_batch / self._layout.num_ranks
        flops = rows * flops_per_row(training)
        corrected = self._corrected(with_moments=self._restored)
        uncorrected = corrected_by(
            (), on_gpu=self._on_gpu, dtype=training.dtype, attention=training.attention
        )
        return {
            "predicted_gb": _gb(uncorrected.peak_gb(expected) * GB),
            "probed_gb": _most(self._probed),
            "corrected_gb": _most(corrected),
            "measured_gb": _most(self._measured),
            "not_probed": None
            if self._probed is not None
            else f"engine {self._layout.engine} would keep the gradients",
            "states_gb": _gb(expected.states),
            "working_gb": _gb(expected.working),
            "step_gb": _gb(expected.step),
            "flops_per_second": round(flops / self._seconds) if self._seconds else None,
            "layout": self._layout.execution,
            "dtype": training.dtype,
            "attention": training.attention,
            "sequence_length": training.sequence_length,
            "family": training.model.family,
            "num_parameters": training.model.num_parameters,
        }


def _longest_rows(
    pairs: Sequence[TokenizedPair], order: Int64[np.ndarray, " needed"], number: int
) -> tuple[list[int], int]:
    """Return (positions of the longest rows in the order, tokens of the longest sequence)."""
    used, first = np.unique(order, return_index=True)
    completions = [max(len(pairs[row].chosen_ids), len(pairs[row].rejected_ids)) for row in used]
    lengths = np.array([len(pairs[row].prompt_ids) for row in used]) + completions
    by_length = np.resize(np.argsort(-lengths, kind="stable")[:number], number)
    return [int(position) for position in first[by_length]], int(lengths.max())


def _callback(watch: MemoryWatch) -> TrainerCallback:

    class Watching(TrainerCallback):  # type: ignore[misc]
        began = False

        def on_step_begin(self, *args: object, optimizer: Optimizer, **kwargs: object) -> None:
            if not self.began:
                self.began = True
                watch.begin(optimizer)

        def on_train_end(self, *args: object, **kwargs: object) -> None:
            watch.end()

    return Watching()


@contextmanager
def _without_a_trace(trainer: Supervised, model: Module) -> Iterator[None]:
    """Drop gradients afterwards; put random states, and what the trainer counts, back."""
    assert all(weight.grad is None for weight in model.parameters()), "a step has begun"
    counted = {name: copy.deepcopy(getattr(trainer, name, None)) for name in _COUNTED}
    generators = read_generators()
    try:
        yield
    finally:
        _drop_gradients(model)
        restore_generators(generators)
        for name, value in counted.items():
            if hasattr(trainer, name):
                setattr(trainer, name, value)


def _drop_gradients(model: Module) -> None:
    for parameter in model.parameters():
        parameter.grad = None


def _most(value: float | None) -> float | None:
    """Return the most of all ranks, in 10^9 bytes."""
    values = [value for value in ranks.gathered(value) if value is not None]
    return _gb(max(values)) if values else None


def _gb(value: float) -> float:
    return round(value / GB, 6)
