"""What every training job shares: exact resume, checkpoints, the log of record, stopping, alarms.

`Supervised` is mixed into a Hugging Face Trainer or a TRL one. Data order, optimizer and schedule
come from the recipe; the Trainer keeps the loop and its engines. Private names of these libraries
are overridden here: `tests/jobs/training/test_private_names.py` holds that they are still there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.errors import UserError
from cluster.fault_points import fault_point
from jobs.liveness.heartbeat import Phase
from jobs.training.batch_supply import LIMIT_S, WatchedBatches
from jobs.training.determinism import repeats_itself
from jobs.training.early_stopping import LOSS, EarlyStopping, StoppingState, stopping_state
from jobs.training.health import Health
from jobs.training.params import TrainingParams
from jobs.training.recipe import Recipe
from jobs.training.resume.continuation import Continuation, KeptBeside
from jobs.training.training_log import append_row, write_logs
from jobs.worker import ranks
from jobs.worker.work import Stopped, Work

if TYPE_CHECKING:
    from torch import Tensor, device
    from torch.nn import Module
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from transformers import PreTrainedModel, Trainer, TrainingArguments
else:
    Trainer = object

_NOT_LOGGED = ("epoch", "num_tokens")
"""Left out of the log: the share of our one long epoch, and a count that restarts on resume."""

Validate = Callable[["PreTrainedModel"], Mapping[str, float]]
"""Model -> metrics on the validation split, by name; the same on all ranks, which all call."""


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What surrounds one training run."""

    work: Work[TrainingParams]
    """The attempt it belongs to; its params say how often there are checkpoints and rows."""
    recipe: Recipe
    """How it trains."""
    beta: float | None = None
    """Factor between log-ratios and the margins in the log; None where the loss has none."""
    validate: Validate | None = None
    """Computes the metrics of a validation; None without validation pairs."""
    validate_every: int | None = None
    """Steps between validations; the last step is always validated."""
    early_stopping: EarlyStopping | None = None
    """When the run ends before its last step."""
    snapshots: KeptBeside | None = None
    """Keeps the models on the way that the params ask for; None: only the last is kept."""
    batch_limit_s: float = LIMIT_S
    """Seconds that the data loader has for one batch."""


class Supervised(Trainer):  # type: ignore[misc]
    """Mixed in before a Trainer class; call `supervise` before `train`."""

    optimizer: Optimizer | None
    lr_scheduler: LRScheduler | None

    supervision: Supervision
    health: Health
    continuation: Continuation
    stopping: StoppingState | None = None
    """What the validations so far say, where the run may end early."""
    first_step: int | None = None
    """The first step this process did."""
    _batches: WatchedBatches | None = None

    def __init__(self, *, args: TrainingArguments, **kwargs: object) -> None:
        # One process computes on one GPU. Where more are visible the Trainer would spread each
        # batch over all of them, and the numbers would depend on the machine.
        if args.n_gpu > 1:
            args._n_gpu = 1
        super().__init__(args=args, **kwargs)

    def supervise(self, supervision: Supervision) -> None:
        """Take the surroundings of the run. Raises UserError where it could not end early."""
        from transformers.trainer_callback import PrinterCallback
        from transformers.utils import logging

        logging.disable_progress_bar()  # one for every checkpoint would fill the job's log
        if supervision.early_stopping is not None and supervision.validate is None:
            raise UserError(
                "early_stopping needs validation pairs, and there are none",
                where="early_stopping",
                hint="give the stage `pairs` a validation_fraction above 0",
            )
        self.supervision = supervision
        self.health = Health(supervision.work.attempt, beta=supervision.beta)
        self.pop_callback(PrinterCallback)

    def create_optimizer(self, model: Module | None = None) -> Optimizer:
        """Make the recipe's optimizer."""
        if self.optimizer is None:
            trained = self.model if model is None else model
            self.optimizer = self.supervision.recipe.optimizer_for(trained.parameters())
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: Optimizer | None = None
    ) -> LRScheduler:
        """Make the recipe's schedule."""
        if self.lr_scheduler is None:
            stepped = self.create_optimizer() if optimizer is None else optimizer
            self.lr_scheduler = self.supervision.recipe.scheduler_for(stepped)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def _prepare_for_training(
        self, max_steps: int, batches: Iterable[object], checkpoint: str | None
    ) -> object:
        """Prepare to train, from the start or from the checkpoint that is continued."""
        prepared = super()._prepare_for_training(max_steps, batches, None)
        if checkpoint is not None:
            self.continuation.restore(self)
        return prepared

    def _load_from_checkpoint(self, *args: object, **kwargs: object) -> None:
        """Load nothing: `_prepare_for_training` has done it."""

    def _load_rng_state(self, checkpoint: str) -> None:
        self.continuation.restore_generators()

    def training_step(self, *args: object, **kwargs: object) -> Tensor:
        """Do a step, and remember the first one of this process."""
        if self.first_step is None:
            self.supervision.work.pulse.enter(Phase.COMPILING)
            self.first_step = self.state.global_step + 1
            self.health.remember(self.state.log_history)
        fault_point("step", step=self.state.global_step + 1, spoil=self._spoil)
        loss: Tensor = super().training_step(*args, **kwargs)
        return loss

    def _spoil(self) -> None:
        """Make the weights no numbers: for faults that are injected on purpose."""
        for parameter in self.model.parameters():
            parameter.data.fill_(float("nan"))

    def get_batch_samples(
        self, epoch_iterator: Iterator[object], num_batches: int, device: device
    ) -> tuple[Sized, object]:
        """Fetch the batches of one step, all of them and in time."""
        if self._batches is None or self._batches.batches is not epoch_iterator:
            limit_s = self.supervision.batch_limit_s
            self._batches = WatchedBatches(
                epoch_iterator,
                limit_s,
                lambda: self.health.silent(limit_s, self.state.global_step + 1),
            )
        fetched: tuple[Sized, object] = super().get_batch_samples(
            self._batches, num_batches, device
        )
        self.health.check_batches(len(fetched[0]), num_batches, self.state.global_step + 1)
        return fetched

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Write one step's metrics into the log of record and the mirror; raise alarms."""
        if "loss" not in logs:
            return  # the summary at the end, which holds times
        step, supervision = self.state.global_step, self.supervision
        if supervision.validate is not None and self._is_validated():
            supervision.work.pulse.enter(Phase.VALIDATING)
            metrics = supervision.validate(self.model)
            logs.update({f"validation/{name}": value for name, value in metrics.items()})
        super().log(logs, start_time)
        row = self.state.log_history.pop()
        if "num_tokens" in row:
            supervision.work.pulse.tokens = int(row["num_tokens"])
        row = {"step": step} | {
            name: row[name] for name in row if name not in (*_NOT_LOGGED, "step")
        }
        self.health.check(row)
        if step == 1 or self._is_due(supervision.work.params.log_every) or LOSS in row:
            self.state.log_history.append(row)
            append_row(supervision.work.folder, self.state.log_history)
        if ranks.is_first():
            self._show_progress(row)
        else:
            work = supervision.work
            work.attempt.show_log(work.rank, work.num_ranks)
        self._judge_validation(row)

    def _show_progress(self, row: Mapping[str, float]) -> None:
        """Write the progress of the attempt, and a row of the log to the mirror."""
        work, step, steps = self.supervision.work, row["step"], self.supervision.recipe.steps
        work.progress(
            step / steps, f"step {step} of {steps}, loss {row['loss']:.4g}", is_training=True
        )
        if self.state.log_history and self.state.log_history[-1] is row:
            values = {f"train/{name}": value for name, value in row.items() if name != "step"}
            work.tracker.log(values, axis="train/step", step=row["step"])

    def _judge_validation(self, row: Mapping[str, float]) -> None:
        """Keep the best weights so far, and end the run where it has learned enough."""
        settings = self.supervision.early_stopping
        if settings is None or LOSS not in row:
            return
        self.stopping = stopping_state(
            settings, self.state.log_history, self.supervision.recipe.steps
        )
        if self.stopping is None:
            return
        if self.stopping.best_step == row["step"]:
            self.continuation.best.keep(self, self.stopping.best_step)
        self.control.should_training_stop |= self.has_enough

    def _is_validated(self) -> bool:
        settings = self.supervision.early_stopping
        return self._is_due(self.supervision.validate_every) or (
            settings is not None and self._is_due(settings.every)
        )

    def _is_due(self, every: int | None) -> bool:
        step = self.state.global_step
        return bool(step == self.supervision.recipe.steps or (every and step % every == 0))

    def _maybe_log_save_evaluate(self, *args: object, **kwargs: object) -> None:
        """Decide after each step whether to save and whether to stop."""
        every = self.supervision.work.params.checkpoint_every
        step, steps = self.state.global_step, self.supervision.recipe.steps
        pulse = self.supervision.work.pulse
        if pulse.step != step:  # the Trainer asks again when it leaves its loop
            pulse.note_step(step, steps)
            if self.supervision.snapshots is not None:
                self.supervision.snapshots.after_step(self)
        checkpoints = self.continuation.checkpoints
        stop = step < steps and checkpoints.any_asked_to_stop(self.supervision.work.stop_requested)
        due = stop or bool(every and step < steps and step % every == 0)
        # A checkpoint is not taken twice.
        self.control.should_save = due and step != checkpoints.last_step
        self.control.should_training_stop |= stop
        super()._maybe_log_save_evaluate(*args, **kwargs)
        pulse.enter(Phase.STEPPING if step < steps else Phase.SAVING)

    def _save_checkpoint(self, model: Module, trial: object) -> None:
        if not self.has_enough:  # a run that continued from it would go on
            self.supervision.work.pulse.enter(Phase.SAVING)
            self.continuation.save(self)

    @property
    def has_enough(self) -> bool:
        """True when the validations so far end the run."""
        return self.stopping is not None and self.stopping.stop

    def create_model_card(self, *args: object, **kwargs: object) -> None:
        """Write no card: the record says what was done."""

    def _send_telemetry(self) -> None:
        """Send nothing."""


def train(trainer: Supervised) -> dict[str, object]:
    """Run a supervised trainer from the newest complete checkpoint of this job to its end.

    All ranks call it. The model ends with the weights of its last step, or of its best where it
    may end early.

    Returns:
        `{"steps", "resume", "last": the last row of the log}`, and `early_stopping` where it may
        end early.

    Raises:
        Stopped: asked to stop; a checkpoint was written.
        DeltascaleError: the run is beyond hope; which of its classes says why, see `health`.
    """
    supervision = trainer.supervision
    work, recipe = supervision.work, supervision.recipe
    continuation = Continuation(
        work.attempt,
        recipe.layout,
        work.params.keep_checkpoints,
        repeats=repeats_itself(
            on_gpu=recipe.layout.num_gpus > 0, deterministic=work.params.deterministic
        ),
        beside=supervision.snapshots,
    )
    trainer.continuation = continuation
    try:
        trainer.train(
            resume_from_checkpoint=str(continuation.folder) if continuation.folder else None
        )
        work.pulse.enter(Phase.SAVING)
        continuation.checkpoints.settle()
    finally:
        continuation.checkpoints.close()
    step, steps = trainer.state.global_step, supervision.recipe.steps
    if step < steps and not trainer.has_enough:
        raise Stopped
    assert step <= steps, step
    assert trainer.first_step == continuation.step + 1, (
        f"resumed at step {trainer.first_step} from a checkpoint of step {continuation.step}"
    )
    if trainer.stopping is not None and trainer.stopping.best_step != step:
        continuation.best.put_back(trainer)
    trainer.health.check_weights(trainer.model)
    history = trainer.state.log_history
    write_logs(supervision.work.folder, history)
    outcome = {"steps": step, "resume": continuation.facts(), "last": history[-1]}
    if trainer.stopping is not None:
        outcome["early_stopping"] = {
            "best_step": trainer.stopping.best_step,
            "best_loss": trainer.stopping.best_loss,
            "stopped_at": step if step < steps else None,
        }
    return outcome
