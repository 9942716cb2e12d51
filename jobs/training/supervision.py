"""What every training job shares: exact resume, checkpoints, the log of record, stopping, alarms.

`Supervised` is mixed into a Hugging Face Trainer or a TRL one. Data order, optimizer and schedule
come from the recipe; the Trainer keeps the loop and its engines.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.training import checkpoints
from jobs.training.batch_supply import LIMIT_S, WatchedBatches
from jobs.training.health import LOG, Health
from jobs.training.recipe import Recipe
from jobs.work import Stopped, Work

_NOT_LOGGED = ("epoch", "num_tokens")
"""Left out of the log: the share of our one long epoch, and a count that restarts on resume."""


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What surrounds one training run."""

    work: Work
    """The attempt it belongs to."""
    recipe: Recipe
    """How it trains."""
    checkpoint_every: int | None
    """Steps between checkpoints; None writes one only when asked to stop."""
    keep_checkpoints: int
    """Newest checkpoints that are kept."""
    log_every: int
    """Steps between rows of the log; first and last step are always there."""
    validate: Callable[[Any], Mapping[str, float]] | None = None
    """Model -> metrics on the validation split, by name."""
    validate_every: int | None = None
    """Steps between validations; the last step is always validated."""
    batch_limit_s: float = LIMIT_S
    """Seconds that the data loader has for one batch."""


class Supervised:
    """Mixed in before a Trainer class; call `supervise` before `train`."""

    # What the Trainer brings.
    args: Any
    control: Any
    lr_scheduler: Any
    model: Any
    optimizer: Any
    state: Any
    _created_lr_scheduler: bool

    supervision: Supervision
    health: Health
    first_step: int | None = None
    """The first step this process did."""
    _batches: WatchedBatches | None = None
    _saved_step: int | None = None

    def __init__(self, *, args: Any, **kwargs: Any) -> None:
        # One process computes on one GPU. Where more are visible the Trainer would spread each
        # batch over all of them, and the numbers would depend on the machine.
        if args.n_gpu > 1:
            args._n_gpu = 1
        super().__init__(args=args, **kwargs)  # type: ignore[call-arg]

    def supervise(self, supervision: Supervision) -> None:
        """Give it its surroundings."""
        from transformers.trainer_callback import PrinterCallback
        from transformers.utils import logging

        logging.disable_progress_bar()  # one for every checkpoint would fill the job's log
        self.supervision = supervision
        self.health = Health(supervision.work.attempt, beta=getattr(self.args, "beta", 1.0))
        self.pop_callback(PrinterCallback)  # type: ignore[attr-defined]

    def create_optimizer(self, model: Any = None) -> Any:
        """The recipe's optimizer."""
        if self.optimizer is None:
            trained = self.model if model is None else model
            self.optimizer = self.supervision.recipe.optimizer_for(trained.parameters())
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The recipe's schedule."""
        if self.lr_scheduler is None:
            stepped = self.optimizer if optimizer is None else optimizer
            self.lr_scheduler = self.supervision.recipe.scheduler_for(stepped)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Remember where this process began."""
        if self.first_step is None:
            self.first_step = self.state.global_step + 1
            self.health.remember(self.state.log_history)
        return super().training_step(*args, **kwargs)  # type: ignore[misc]

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """The batches of one step, all of them and in time."""
        if self._batches is None or self._batches.batches is not epoch_iterator:
            limit_s = self.supervision.batch_limit_s
            self._batches = WatchedBatches(
                epoch_iterator,
                limit_s,
                lambda: self.health.silent(limit_s, self.state.global_step + 1),
            )
        found = super().get_batch_samples(self._batches, num_batches, device)  # type: ignore[misc]
        self.health.check_batches(len(found[0]), num_batches, self.state.global_step + 1)
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """One step's metrics into the log of record and the mirror; raises alarms."""
        if "loss" not in logs:
            return  # the summary at the end, which holds times
        step, watched = self.state.global_step, self.supervision
        if watched.validate is not None and self._is_due(watched.validate_every):
            found = watched.validate(self.model)
            logs.update({f"validation/{name}": value for name, value in found.items()})
        super().log(logs, start_time)  # type: ignore[misc]
        row = self.state.log_history.pop()
        row = {"step": step} | {
            name: row[name] for name in row if name not in (*_NOT_LOGGED, "step")
        }
        self.health.check(row)
        watched.work.progress(
            step / watched.recipe.steps,
            f"step {step} of {watched.recipe.steps}, loss {row['loss']:.4g}",
        )
        if step == 1 or self._is_due(watched.log_every):
            self._record(row)

    def _is_due(self, every: int | None) -> bool:
        step = self.state.global_step
        return bool(step == self.supervision.recipe.steps or (every and step % every == 0))

    def _record(self, row: dict[str, float]) -> None:
        """Append a row; the first of this process also writes what the checkpoint remembers."""
        path = self.supervision.work.folder / LOG
        self.state.log_history.append(row)
        if path.exists():
            with open(path, "a", encoding="utf-8") as stream:
                stream.write(_line(row))
        else:
            write_log(path, self.state.log_history)
        values = {f"train/{name}": value for name, value in row.items() if name != "step"}
        self.supervision.work.tracker.log(values, axis="train/step", step=row["step"])

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """After each step: decide whether to save and whether to stop."""
        every = self.supervision.checkpoint_every
        step, steps = self.state.global_step, self.supervision.recipe.steps
        stop = step < steps and self.supervision.work.stop_requested
        due = stop or bool(every and step < steps and step % every == 0)
        # The Trainer asks again when it leaves its loop; a complete checkpoint is not rewritten.
        self.control.should_save = due and step != self._saved_step
        self.control.should_training_stop |= stop
        super()._maybe_log_save_evaluate(*args, **kwargs)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        self._saved_step = self.state.global_step
        checkpoints.complete(
            self.supervision.work.attempt, self.state.global_step, self.supervision.keep_checkpoints
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Weights only: no pickled arguments, no copy of the tokenizer."""
        self.model.save_pretrained(output_dir, state_dict=state_dict)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: the record says what was done."""

    def _send_telemetry(self) -> None:
        """None."""


def train(trainer: Any) -> dict[str, Any]:
    """Run a supervised trainer from the newest complete checkpoint of this job to its last step.

    Returns:
        `{"steps", "resumed_from", "last": the last row of the log}`.

    Raises:
        Stopped: asked to stop; a checkpoint was written.
        DeltascaleError: it is beyond hope; which of its classes says why, see `health`.
    """
    work, recipe = trainer.supervision.work, trainer.supervision.recipe
    found = checkpoints.adopt_newest(work.attempt)
    trainer.train(resume_from_checkpoint=str(found.path) if found else None)
    resumed = found.step if found else 0
    if trainer.state.global_step < recipe.steps:
        raise Stopped
    assert trainer.state.global_step == recipe.steps, trainer.state.global_step
    assert trainer.first_step == resumed + 1, (
        f"resumed at step {trainer.first_step} from a checkpoint of step {resumed}"
    )
    trainer.health.check_weights(trainer.model)
    history = trainer.state.log_history
    write_log(work.folder / LOG, history)
    return {
        "steps": recipe.steps,
        "resumed_from": found.step if found else None,
        "last": history[-1],
    }


def write_log(path: Path, rows: list[dict[str, float]]) -> None:
    """The whole log, one JSON object per line."""
    path.write_text("".join(_line(row) for row in rows), encoding="utf-8")


def _line(row: Mapping[str, float]) -> str:
    """The step, then the rest by name: the same bytes whether a row was resumed or just made."""
    rest = {name: row[name] for name in sorted(row) if name != "step"}
    return json.dumps({"step": row["step"], **rest}) + "\n"
