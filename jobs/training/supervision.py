"""What every training job shares: exact resume, checkpoints, the log of record, stopping, alarms.

`Supervised` is mixed into a Hugging Face Trainer or a TRL one. Data order, optimizer and schedule
come from the recipe; the Trainer keeps the loop and its engines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.errors import UserError
from jobs.training.batch_supply import LIMIT_S, WatchedBatches
from jobs.training.early_stopping import LOSS, EarlyStopping, Verdict, verdict
from jobs.training.health import Health
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe
from jobs.training.resume.continuation import Continuation
from jobs.training.training_log import append_row, write_logs
from jobs.worker import ranks
from jobs.worker.work import Stopped, Work

_NOT_LOGGED = ("epoch", "num_tokens")
"""Left out of the log: the share of our one long epoch, and a count that restarts on resume."""


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What surrounds one training run."""

    work: Work
    """The attempt it belongs to."""
    recipe: Recipe
    """How it trains."""
    layout: Layout
    """How it lies on its machines."""
    checkpoint_every: int | None
    """Steps between checkpoints; None writes one only when asked to stop."""
    keep_checkpoints: int
    """Newest checkpoints that are kept."""
    log_every: int
    """Steps between rows of the log; first and last step are always there."""
    validate: Callable[[Any], Mapping[str, float]] | None = None
    """Model -> metrics on the validation split, by name; the same on all ranks, which all call."""
    validate_every: int | None = None
    """Steps between validations; the last step is always validated."""
    early_stopping: EarlyStopping | None = None
    """When it ends before its last step."""
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
    continuation: Continuation
    verdict: Verdict | None = None
    """What the validations so far say, where the run may end early."""
    first_step: int | None = None
    """The first step this process did."""
    _batches: WatchedBatches | None = None

    def __init__(self, *, args: Any, **kwargs: Any) -> None:
        # One process computes on one GPU. Where more are visible the Trainer would spread each
        # batch over all of them, and the numbers would depend on the machine.
        if args.n_gpu > 1:
            args._n_gpu = 1
        super().__init__(args=args, **kwargs)  # type: ignore[call-arg]

    def supervise(self, supervision: Supervision) -> None:
        """Give it its surroundings. Raises UserError where it cannot end as it should."""
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

    def _prepare_for_training(self, max_steps: int, batches: Any, checkpoint: Any) -> Any:
        """Ready to train, from the start or from what is continued."""
        prepared = super()._prepare_for_training(max_steps, batches, None)  # type: ignore[misc]
        if checkpoint is not None:
            self.continuation.restore(self)
        return prepared

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: `_prepare_for_training` has it."""

    def _load_rng_state(self, checkpoint: Any) -> None:
        self.continuation.restore_generators()

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
        if watched.validate is not None and self._is_validated():
            found = watched.validate(self.model)
            logs.update({f"validation/{name}": value for name, value in found.items()})
        super().log(logs, start_time)  # type: ignore[misc]
        row = self.state.log_history.pop()
        row = {"step": step} | {
            name: row[name] for name in row if name not in (*_NOT_LOGGED, "step")
        }
        self.health.check(row)
        if step == 1 or self._is_due(watched.log_every) or LOSS in row:
            self.state.log_history.append(row)
            append_row(watched.work.folder, self.state.log_history)
        if ranks.is_first():
            self._show(row)
        self._judge(row)

    def _show(self, row: Mapping[str, float]) -> None:
        """To whoever watches."""
        work, step, steps = self.supervision.work, row["step"], self.supervision.recipe.steps
        work.progress(step / steps, f"step {step} of {steps}, loss {row['loss']:.4g}")
        if self.state.log_history and self.state.log_history[-1] is row:
            values = {f"train/{name}": value for name, value in row.items() if name != "step"}
            work.tracker.log(values, axis="train/step", step=row["step"])

    def _judge(self, row: Mapping[str, float]) -> None:
        """After a validation: are these the best weights so far, and is it enough?"""
        settings = self.supervision.early_stopping
        if settings is None or LOSS not in row:
            return
        self.verdict = verdict(settings, self.state.log_history, self.supervision.recipe.steps)
        if self.verdict is None:
            return
        if self.verdict.best_step == row["step"]:
            self.continuation.best.keep(self, self.verdict.best_step)
        self.control.should_training_stop |= self.has_enough

    def _is_validated(self) -> bool:
        settings = self.supervision.early_stopping
        return self._is_due(self.supervision.validate_every) or (
            settings is not None and self._is_due(settings.every)
        )

    def _is_due(self, every: int | None) -> bool:
        step = self.state.global_step
        return bool(step == self.supervision.recipe.steps or (every and step % every == 0))

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """After each step: decide whether to save and whether to stop."""
        every = self.supervision.checkpoint_every
        step, steps = self.state.global_step, self.supervision.recipe.steps
        checkpointing = self.continuation.checkpointing
        stop = step < steps and checkpointing.heard(stop=self.supervision.work.stop_requested)
        due = stop or bool(every and step < steps and step % every == 0)
        # The Trainer asks again when it leaves its loop; a checkpoint is not taken twice.
        self.control.should_save = due and step != checkpointing.last_step
        self.control.should_training_stop |= stop
        super()._maybe_log_save_evaluate(*args, **kwargs)  # type: ignore[misc]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if not self.has_enough:  # whoever continued from it would go on
            self.continuation.save(self)

    @property
    def has_enough(self) -> bool:
        """Whether the validations so far end the run."""
        return self.verdict is not None and self.verdict.stop

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: the record says what was done."""

    def _send_telemetry(self) -> None:
        """None."""


def train(trainer: Any) -> dict[str, Any]:
    """Run a supervised trainer from the newest complete checkpoint of this job to its end.

    All ranks call it. The model ends with the weights of its last step, or of its best where it
    may end early.

    Returns:
        `{"steps", "resume", "last": the last row of the log}`, and `early_stopping` where it may
        end early.

    Raises:
        Stopped: asked to stop; a checkpoint was written.
        DeltascaleError: it is beyond hope; which of its classes says why, see `health`.
    """
    watched = trainer.supervision
    begun = Continuation(watched.work.attempt, watched.layout, watched.keep_checkpoints)
    trainer.continuation = begun
    try:
        trainer.train(resume_from_checkpoint=str(begun.folder) if begun.folder else None)
        begun.checkpointing.settle()
    finally:
        begun.checkpointing.close()
    step, steps = trainer.state.global_step, watched.recipe.steps
    if step < steps and not trainer.has_enough:
        raise Stopped
    assert step <= steps, step
    assert trainer.first_step == begun.step + 1, (
        f"resumed at step {trainer.first_step} from a checkpoint of step {begun.step}"
    )
    if trainer.verdict is not None and trainer.verdict.best_step != step:
        begun.best.put_back(trainer)
    trainer.health.check_weights(trainer.model)
    history = trainer.state.log_history
    write_logs(watched.work.folder, history)
    return {
        "steps": step,
        "resume": begun.facts(),
        "last": history[-1],
        **_ended(trainer.verdict, step if step < steps else None),
    }


def _ended(said: Verdict | None, stopped_at: int | None) -> dict[str, Any]:
    """The fact `early_stopping`, of runs that may end early."""
    if said is None:
        return {}
    found = {"best_step": said.best_step, "best_loss": said.best_loss, "stopped_at": stopped_at}
    return {"early_stopping": found}
