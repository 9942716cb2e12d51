"""`MemoryWatch`: measures a training run's memory, first on two forward and backward passes.

The passes are the first thing a run does, at its longest sequences, so that what does not fit fails
at once. They leave no trace: gradients are dropped, random states and running metrics put back.
"""

import copy
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from cluster.errors import OutOfMemory
from jobs.training.layout import Layout
from jobs.training.memory import device_bytes, peak_bytes, reset_peak
from jobs.training.planning.correction import GB, Correction, corrected_by
from jobs.training.planning.fitting import training_with
from jobs.training.planning.footprint import Footprint, Model, Training, flops_per_row, footprint
from jobs.training.recipe import data_order
from jobs.worker import ranks

_UNDISTURBED = "ddp"
"""The engine whose gradients can be dropped; others keep them in buffers of their own."""
_REMEMBERED = ("_metrics", "_total_train_tokens")
"""What TRL's trainers count in a forward pass."""


class MemoryWatch:
    """The memory of one run on this rank."""

    def __init__(
        self, trainer: Any, training: Training, layout: Layout, rows: Sequence[int]
    ) -> None:
        """Watch a trainer that has not begun.

        Args:
            trainer: it gets a callback.
            training: what is trained, at the length of the longest row.
            layout: how.
            rows: of its data set, the longest, as many as a forward pass takes.
        """
        self._trainer, self._training, self._layout = trainer, training, layout
        self._rows = list(rows)
        self._expected: Footprint = footprint(training, layout)
        self._probed: int | None = None
        self._restored = False
        self._started, self._first_step = 0.0, 0
        self._seconds, self._measured, self._num_steps = 0.0, 0, 0
        trainer.add_callback(_callback(self))

    @property
    def _on_gpu(self) -> bool:
        return self._layout.num_gpus > 0

    @property
    def _correction(self) -> Correction:
        training = self._training
        return corrected_by(
            (), on_gpu=self._on_gpu, dtype=training.dtype, attention=training.attention
        )

    def begin(self, model: Any, optimizer: Any) -> None:
        """Before the first step: try the passes, then measure the run."""
        if self._layout.engine == _UNDISTURBED:
            reset_peak(on_gpu=self._on_gpu)
            with _without_a_trace(self._trainer, model):
                self._passes(model)
            self._probed = peak_bytes(on_gpu=self._on_gpu)
            self._require_room(optimizer)
        reset_peak(on_gpu=self._on_gpu)
        self._started, self._first_step = time.monotonic(), self._trainer.state.global_step

    def end(self) -> None:
        """After the last step."""
        self._seconds = time.monotonic() - self._started
        self._num_steps = self._trainer.state.global_step - self._first_step
        self._measured = peak_bytes(on_gpu=self._on_gpu)

    def _passes(self, model: Any) -> None:
        trainer, alone = self._trainer, self._layout.num_ranks == 1
        accumulates = self._layout.accumulation(self._training.global_batch) > 1
        model.train()
        # DDP sends its first gradients in other portions than all later ones, and sums of more than
        # two ranks depend on that: a resumed run would differ in its first step.
        for sending in (_unsent(model), nullcontext()):
            batch = trainer.data_collator([trainer.train_dataset[row] for row in self._rows])
            with sending, trainer.compute_loss_context_manager():
                loss = trainer.compute_loss(model, trainer._prepare_inputs(batch))
                trainer.accelerator.backward(loss)
            if alone and not accumulates:  # its steps never see gradients of an earlier pass
                _drop_gradients(model)

    def _corrected(self, *, with_moments: bool) -> float | None:
        """Bytes at the peak, as the passes say: the optimizer's moments come on top."""
        if self._probed is None:
            return None
        moments = 0.0 if with_moments else self._expected.moments
        return max(self._probed + moments, self._expected.step)

    def _require_room(self, optimizer: Any) -> None:
        self._restored = bool(getattr(optimizer, "optimizer", optimizer).state)
        expected = self._corrected(with_moments=self._restored)
        if self._on_gpu and expected is not None and expected > device_bytes():
            raise OutOfMemory(
                f"a step would take {expected / GB:.1f} GB, as two forward and backward passes "
                f"show; the GPU has {device_bytes() / GB:.1f} GB"
            )

    def facts(self) -> dict[str, Any]:
        """What was expected and measured, the most of all ranks; all of them must ask."""
        training, found = self._training, self._expected
        rows = self._num_steps * training.global_batch / self._layout.num_ranks
        flops = rows * flops_per_row(training)
        corrected = self._corrected(with_moments=self._restored)
        return {
            "predicted_gb": _gb(self._correction.peak_gb(found) * GB),
            "probed_gb": _most(self._probed),
            "corrected_gb": _most(corrected),
            "measured_gb": _most(self._measured),
            "not_probed": None
            if self._probed is not None
            else f"engine {self._layout.engine} would keep the gradients",
            "states_gb": _gb(found.states),
            "working_gb": _gb(found.working),
            "step_gb": _gb(found.step),
            "flops_per_second": round(flops / self._seconds) if self._seconds else None,
            "layout": self._layout.execution,
            "dtype": training.dtype,
            "attention": training.attention,
            "sequence_length": training.sequence_length,
            "family": training.model.family,
            "num_parameters": training.model.num_parameters,
        }


def watch_memory(trainer: Any, params: Any, pairs: Sequence[Any]) -> MemoryWatch:
    """Watch a supervised trainer that has not begun.

    Args:
        trainer: over the pairs, in the order of its recipe.
        params: of the job.
        pairs: the training pairs.
    """
    layout, recipe = params.layout(), trainer.supervision.recipe
    order = data_order(len(pairs), recipe.steps * recipe.global_batch, params.seed)
    rows, length = _longest_rows(pairs, order, layout.micro_batch)
    training = training_with(params, Model.of(trainer.model.config.to_dict()), length)
    return MemoryWatch(trainer, training, layout, rows)


def _longest_rows(pairs: Sequence[Any], order: Any, number: int) -> tuple[list[int], int]:
    """(positions of the longest rows among those trained on, tokens of the longest sequence)."""
    used, first = np.unique(np.asarray(order), return_index=True)
    lengths = np.array([_length(pairs[row]) for row in used])
    by_length = np.resize(np.argsort(-lengths, kind="stable")[:number], number)
    return [int(position) for position in first[by_length]], int(lengths.max())


def _length(pair: Any) -> int:
    return len(pair.prompt_ids) + max(len(pair.chosen_ids), len(pair.rejected_ids))


def _callback(watch: MemoryWatch) -> Any:
    from transformers import TrainerCallback

    class Watched(TrainerCallback):  # type: ignore[misc]
        began = False

        def on_step_begin(self, *args: Any, model: Any, optimizer: Any, **kwargs: Any) -> None:
            if not self.began:
                self.began = True
                watch.begin(watch._trainer.model_wrapped, optimizer)

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            watch.end()

    return Watched()


@contextmanager
def _without_a_trace(trainer: Any, model: Any) -> Iterator[None]:
    """Gradients dropped; random states, and what the trainer counts, as they were."""
    import torch

    assert all(each.grad is None for each in model.parameters()), "a step has begun"
    counted = {name: copy.deepcopy(getattr(trainer, name, None)) for name in _REMEMBERED}
    python, numbers = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            _drop_gradients(model)
            random.setstate(python)
            np.random.set_state(numbers)
            for name, value in counted.items():
                if hasattr(trainer, name):
                    setattr(trainer, name, value)


def _drop_gradients(model: Any) -> None:
    for parameter in model.parameters():
        parameter.grad = None


def _unsent(model: Any) -> AbstractContextManager[None]:
    """In it, gradients of several ranks stay where they are."""
    found: AbstractContextManager[None] = getattr(model, "no_sync", nullcontext)()
    return found


def _most(value: float | None) -> float | None:
    """Of all ranks, in 10^9 bytes."""
    known = [each for each in ranks.gathered(value) if each is not None]
    return _gb(max(known)) if known else None


def _gb(value: float) -> float:
    return round(value / GB, 6)
